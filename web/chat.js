// Starts Converse.js against the server that served this page. `?domain=` names another domain than the page's host.

const { hostname, host, protocol, search } = window.location;

// Accounts belong to a domain, and an IP address is none.
const isAddress = hostname.startsWith("[") || /^[\d.]+$/.test(hostname);
const domain = new URLSearchParams(search).get("domain") ?? (isAddress ? "localhost" : hostname);

try {
  await import("./converse/converse.min.js");
} catch (error) {
  document.getElementById("absent").hidden = false;
  throw error;
}

window.converse.initialize({
  view_mode: "fullscreen",
  assets_path: "/converse/",
  websocket_url: `${protocol === "https:" ? "wss" : "ws"}://${host}/xmpp-websocket`,
  discover_connection_methods: false,

  authentication: "login",
  default_domain: domain,
  registration_domain: domain,

  // Each window is a client of its own, as two people's would be, and forgets when it is closed.
  persistent_store: "sessionStorage",
  allow_user_trust_override: false,
  clear_cache_on_logout: true,

  auto_reconnect: true,
  allow_non_roster_messaging: true,

  // They need storage on the server that does not exist yet.
  blacklisted_plugins: ["converse-bookmarks", "converse-bookmark-views", "converse-omemo", "converse-omemo-views"],
  play_sounds: false,
  i18n: "en",
});
