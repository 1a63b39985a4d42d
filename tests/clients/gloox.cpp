// gloox HOST PORT DOMAIN NAME PASSWORD OTHER_NAME CAFILE: two accounts that exist, by Gloox, both polled from one thread.
// A line a check; the last is "PASS n FAIL m". GLOOX_LOG=1 shows the streams.

#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/connectiontcpclient.h>
#include <gloox/disco.h>
#include <gloox/discohandler.h>
#include <gloox/eventhandler.h>
#include <gloox/loghandler.h>
#include <gloox/logsink.h>
#include <gloox/message.h>
#include <gloox/messagehandler.h>
#include <gloox/mucroom.h>
#include <gloox/mucroomhandler.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>

using namespace gloox;
using std::set;
using std::string;

static int passed = 0, failed = 0;

static bool report(const string& name, bool ok, const string& why = "") {
  (ok ? passed : failed)++;
  std::cout << (ok ? "PASS " : "FAIL ") << name << (ok || why.empty() ? "" : " : " + why) << std::endl;
  return ok;
}

// One client, and what it has heard so far.
struct User : ConnectionListener, DiscoHandler, EventHandler, LogHandler, MessageHandler, MUCRoomHandler {
  Client* client;
  bool connected = false, disconnected = false, encrypted = false;
  string reason;
  string body, from;
  bool ponged = false, gotInfo = false, gotItems = false, refused = false;
  set<string> features, items;
  set<string> occupants;
  string roomBody, roomSubject;

  User(const JID& jid, const string& password, const string& host, int port, const string& authority)
      : client(new Client(jid, password)) {
    client->registerConnectionListener(this);
    client->registerMessageHandler(this);
    client->setCACerts({authority});
    client->setConnectionImpl(new ConnectionTCPClient(client, client->logInstance(), host, port));
    if (getenv("GLOOX_LOG")) client->logInstance().registerLogHandler(LogLevelDebug, LogAreaAll, this);
  }

  void handleLog(LogLevel, LogArea, const string& line) override { std::cerr << line << std::endl; }
  void onConnect() override { connected = true; }
  void onDisconnect(ConnectionError error) override {
    disconnected = true;
    reason = "connection error " + std::to_string(error) + ", authentication error " + std::to_string(client->authError());
  }
  bool onTLSConnect(const CertInfo&) override { return encrypted = true; }

  void handleMessage(const Message& message, MessageSession*) override {
    if (message.body().empty()) return;
    body = message.body();
    from = message.from().full();
  }
  void handleEvent(const Event& event) override { ponged |= event.eventType() == Event::PingPong; }
  void handleDiscoInfo(const JID&, const Disco::Info& info, int) override {
    gotInfo = true;
    features.insert(info.features().begin(), info.features().end());
  }
  void handleDiscoItems(const JID&, const Disco::Items& list, int) override {
    gotItems = true;
    for (auto* item : list.items()) items.insert(item->jid().full());
  }
  void handleDiscoError(const JID&, const Error*, int) override { gotInfo = refused = true; }
  bool handleDiscoSet(const IQ&) override { return false; }

  void handleMUCParticipantPresence(MUCRoom*, const MUCRoomParticipant participant, const Presence&) override {
    occupants.insert(participant.nick->resource());
  }
  void handleMUCMessage(MUCRoom*, const Message& message, bool) override {
    if (!message.body().empty()) roomBody = message.body();
  }
  bool handleMUCRoomCreation(MUCRoom*) override { return true; }
  void handleMUCSubject(MUCRoom*, const string&, const string& subject) override { roomSubject = subject; }
  void handleMUCInviteDecline(MUCRoom*, const JID&, const string&) override {}
  void handleMUCError(MUCRoom*, StanzaError) override {}
  void handleMUCInfo(MUCRoom*, int, const string&, const DataForm*) override {}
  void handleMUCItems(MUCRoom*, const Disco::ItemList&) override {}
};

static std::vector<User*> users;

// Lets every client read until this holds.
static bool until(const std::function<bool()>& holds, double seconds = 10) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (holds()) return true;
    for (auto* user : users)
      if (!user->disconnected) user->client->recv(20'000 /* microseconds */);
  }
  return holds();
}

static bool logIn(User& user, const string& name) {
  users.push_back(&user);
  user.client->connect(false);
  until([&] { return user.connected || user.disconnected; }, 15);
  return report(name, user.connected, user.reason);
}

static string findRooms(User& user) {
  string found;
  for (const auto& item : user.items) {
    user.gotInfo = user.refused = false;
    user.features.clear();
    user.client->disco()->getDiscoInfo(JID(item), "", &user, 3);
    until([&] { return user.gotInfo; }, 5);
    if (user.features.count("http://jabber.org/protocol/muc")) found = item;
  }
  return found;
}

static void talkInRoom(User& a, User& b, const string& room) {
  MUCRoom one(a.client, JID(room + "/one"), &a), two(b.client, JID(room + "/two"), &b);
  one.join();
  report("MUC create, join", until([&] { return a.occupants.count("one") > 0; }));
  until([] { return false; }, 1);
  two.join();
  report("MUC second joins, both see both", until([&] {
           return a.occupants.count("two") && b.occupants.count("one") && b.occupants.count("two");
         }));
  one.send("muc hi");
  report("MUC message to both", until([&] { return a.roomBody == "muc hi" && b.roomBody == "muc hi"; }));
  one.setSubject("topic");
  report("MUC subject", until([&] { return b.roomSubject == "topic"; }));
  one.leave();
  two.leave();
  until([] { return false; }, 0.3);
}

static void talk(User& a, User& b, const string& domain) {
  const string text = "hello <&> \xc3\xa9";
  Message message(Message::Chat, b.client->jid().bareJID(), text);
  a.client->send(message);
  report("1:1 chat", until([&] { return b.body == text; }) && b.from == a.client->jid().full(), b.body + " from " + b.from);
  a.client->xmppPing(JID(domain), &a);
  report("ping server", until([&] { return a.ponged; }));
  a.client->disco()->getDiscoInfo(JID(domain), "", &a, 1);
  report("disco info", until([&] { return a.gotInfo; }) && !a.refused);
  a.client->disco()->getDiscoItems(JID(domain), "", &a, 2);
  report("disco items", until([&] { return a.gotItems; }));
  const string rooms = findRooms(a);
  if (report("MUC discovered", !rooms.empty())) talkInRoom(a, b, "gx" + std::to_string(time(nullptr)) + "@" + rooms);
}

int main(int count, char** arguments) {
  if (count < 8) return 64;
  const string host = arguments[1], domain = arguments[3], password = arguments[5], authority = arguments[7];
  const int port = atoi(arguments[2]);
  User a(JID(string(arguments[4]) + "@" + domain + "/gloox"), password, host, port, authority);
  User b(JID(string(arguments[6]) + "@" + domain + "/gloox"), password, host, port, authority);
  logIn(a, "gloox login a");
  report("TLS negotiated", a.encrypted);
  logIn(b, "gloox login b");
  if (a.connected && b.connected) {
    talk(a, b, domain);
    b.client->disconnect();
    a.client->disconnect();
  }
  std::cout << "PASS " << passed << " FAIL " << failed << std::endl;
  return failed ? 1 : 0;
}
