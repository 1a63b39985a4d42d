-- Prosody under load. What differs from Debian's file, and why, is in loadtest/peers/README.md. @WORDS@ are filled in by lib/servers.py.
run_as_root = true
daemonize = false
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/data"
log = { warn = "@DIR@/prosody.log" }
interfaces = { "@IP@" }
c2s_ports = { 5222 }
c2s_direct_tls_ports = { 5223 }
s2s_ports = { }
http_interfaces = { "@IP@" }
http_ports = { 5280 }
https_ports = { }
http_host = "@IP@"

network_backend = "epoll"
network_settings = { tcp_backlog = 4096 }
gc = { mode = "generational" }

modules_enabled = {
  "blocklist", "bookmarks", "bosh", "carbons", "csi_simple", "disco", "lastactivity", "offline", "pep", "ping", "posix",
  "private", "register", "roster", "saslauth", "smacks", "time", "tls", "vcard4", "version", "websocket", @ARCHIVE@
}

authentication = "internal_@PASSWORDS@"
default_iteration_count = 4096
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
allow_registration = true
storage = "internal"

certificates = "@TLS@"
ssl = { certificate = "@TLS@/chain.pem", key = "@TLS@/key.pem" }
c2s_direct_tls_ssl = { certificate = "@TLS@/chain.pem", key = "@TLS@/key.pem" }

VirtualHost "localhost"
Component "conference.localhost" "muc"
Component "pubsub.localhost" "pubsub"
  admins = { "user0@localhost" } -- who makes the node
Component "upload.localhost" "http_file_share"
  http_host = "@IP@"
  http_external_url = "http://@IP@:5280/"
  http_file_share_size_limit = 104857600
  http_file_share_daily_quota = 1e12
