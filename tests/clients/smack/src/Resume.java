// Resume HOST PORT DOMAIN NAME PASSWORD OTHER_NAME CA_FILE [RESUME_AT]: two accounts that exist, by Smack. One is cut off, and resumes at
// RESUME_AT, HOST:PORT of another edge, else where it was. A line a check; the last is "PASS n FAIL m".

import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import javax.net.SocketFactory;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jivesoftware.smack.filter.StanzaTypeFilter;
import org.jivesoftware.smack.packet.Message;
import org.jivesoftware.smack.tcp.XMPPTCPConnection;
import org.jivesoftware.smack.tcp.XMPPTCPConnectionConfiguration;
import org.jxmpp.jid.impl.JidCreate;

public class Resume {
    static final long HEAR_MS_MAX = 10_000;
    static final long AWAY_MS = 500;
    static final long AGAIN_MS = 1_000;

    static int passed, failed;

    public static void main(String[] arguments) throws Exception {
        String domain = arguments[2], name = arguments[3], password = arguments[4], otherName = arguments[5];
        var here = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        var elsewhere = arguments.length > 7 ? address(arguments[7]) : here;
        var trust = trust(arguments[6]);
        var desk = new Person(domain, name, password, here, trust);
        var juliet = new Person(domain, otherName, password, here, trust);

        check("login a", desk::logIn);
        check("login b", juliet::logIn);
        check("SM enabled, resumption possible", desk.connection::isSmResumptionPossible);
        check("1:1 chat", () -> desk.hears(juliet.says(desk)) == 1);
        check("SM resume after abrupt cut", () -> {
            desk.connection.instantShutdown();
            String text = juliet.says(desk);
            Thread.sleep(AWAY_MS);
            desk.at = elsewhere;
            desk.logIn();
            if (!desk.connection.streamWasResumed()) throw new IOException("logged in anew");
            check("message sent meanwhile is seen once", () -> desk.hears(text) == 1);
            return true;
        });
        check("1:1 chat, both ways, afterwards", () -> desk.hears(juliet.says(desk)) == 1 && juliet.hears(desk.says(juliet)) == 1);
        System.out.println("PASS " + passed + " FAIL " + failed);
        System.out.flush();
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    static void check(String name, Callable<Boolean> act) {
        String why = "";
        try {
            if (act.call()) {
                passed += 1;
                System.out.println("PASS " + name);
                return;
            }
        } catch (Exception error) {
            why = " : " + error.toString().replaceAll("\\s+", " ");
        }
        failed += 1;
        System.out.println("FAIL " + name + why);
    }

    /** An account and its one session. */
    static class Person {
        final XMPPTCPConnection connection;
        final Queue<String> heard = new ConcurrentLinkedQueue<>();
        volatile InetSocketAddress at;

        Person(String domain, String name, String password, InetSocketAddress at, X509TrustManager trust) throws Exception {
            this.at = at;
            connection = new XMPPTCPConnection(XMPPTCPConnectionConfiguration.builder()
                .setXmppDomain(domain).setHostAddress(at.getAddress()).setPort(at.getPort())
                .setUsernameAndPassword(name, password).setResource("desk")
                .setSecurityMode(SecurityMode.required).setCustomX509TrustManager(trust)
                .setSocketFactory(new Way())
                .build());
            connection.setUseStreamManagement(true);
            connection.setUseStreamManagementResumption(true);
            connection.addSyncStanzaListener(stanza -> {
                if (((Message) stanza).getBody() != null) heard.add(((Message) stanza).getBody());
            }, StanzaTypeFilter.MESSAGE);
        }

        boolean logIn() throws Exception {
            connection.connect();
            connection.login();
            return connection.isAuthenticated();
        }

        /** What was said. */
        String says(Person to) throws Exception {
            String text = UUID.randomUUID().toString();
            var address = JidCreate.bareFrom(to.connection.getConfiguration().getUsername() + "@" + connection.getXMPPServiceDomain());
            connection.sendStanza(connection.getStanzaFactory().buildMessageStanza().to(address).ofType(Message.Type.chat).setBody(text).build());
            return text;
        }

        /** How often; time enough for a second one is given. */
        long hears(String text) throws InterruptedException {
            long until = System.currentTimeMillis() + HEAR_MS_MAX;
            while (!heard.contains(text) && System.currentTimeMillis() < until) Thread.sleep(20);
            Thread.sleep(AGAIN_MS);
            return heard.stream().filter(text::equals).count();
        }

        /** Sockets that lead to wherever this person is to be, whatever the configuration says. */
        class Way extends SocketFactory {
            @Override
            public Socket createSocket() {
                return new Socket() {
                    @Override
                    public void connect(SocketAddress ignored, int limitMs) throws IOException {
                        super.connect(at, limitMs);
                    }
                };
            }

            @Override
            public Socket createSocket(String host, int port) throws IOException {
                return new Socket(at.getAddress(), at.getPort());
            }

            @Override
            public Socket createSocket(String host, int port, InetAddress local, int localPort) throws IOException {
                return createSocket(host, port);
            }

            @Override
            public Socket createSocket(InetAddress host, int port) throws IOException {
                return createSocket("", port);
            }

            @Override
            public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) throws IOException {
                return createSocket("", port);
            }
        }
    }

    static InetSocketAddress address(String text) {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon), Integer.parseInt(text.substring(colon + 1)));
    }

    /** Trusts the certificates of a PEM file, and no other. */
    static X509TrustManager trust(String file) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (var pem = new FileInputStream(file)) {
            int number = 0;
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
                store.setCertificateEntry("ca" + number++, certificate);
            }
        }
        var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }
}
