#!/usr/bin/env python3
"""slixmpp_suite.py HOST PORT DOMAIN NAME PASSWORD OTHER_NAME [CAFILE [RESUME_AT]]: two people by Slixmpp, one on two devices.

Their accounts are made in-band. Who is cut off resumes at RESUME_AT, HOST:PORT of another edge, else where it was.
A line a check, named as in expected/; the last is "PASS n FAIL m".
"""

import asyncio
import hashlib
import io
import logging
import os
import ssl
import subprocess
import sys
import time
import uuid
import warnings

import aiohttp
from slixmpp import JID, ClientXMPP
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

HOST, PORT, DOMAIN, NAME, PASSWORD, OTHER_NAME = sys.argv[1:7]
CA_FILE = sys.argv[7] if len(sys.argv) > 7 else None
RESUME_AT = sys.argv[8] if len(sys.argv) > 8 else f"{HOST}:{PORT}"
ROMEO, JULIET = JID(f"{NAME}@{DOMAIN}"), JID(f"{OTHER_NAME}@{DOMAIN}")
MUC = "http://jabber.org/protocol/muc"
PLUGINS = (30, 45, 49, 54, 60, 82, 84, 85, 92, 163, 172, 184, 191, 198, 199, 203, 249, 280, 297, 308, 313, 333, 352,
           359, 363, 402, 410, 424, 444)  # fmt: skip
EVENTS = (
    "carbon_received",
    "carbon_sent",
    "groupchat_message",
    "groupchat_subject",
    "message",
    "presence_subscribe",
    "session_resumed",
)

totals = {"PASS": 0, "FAIL": 0}


def report(name: str, ok: bool, why: object = "") -> None:
    verdict = "PASS" if ok else "FAIL"
    totals[verdict] += 1
    print(f"{verdict} {name}" + (f" : {str(why)[:300]}" if why and not ok else ""), flush=True)


async def check(name: str, work, limit_seconds: float = 12):
    """Nothing or something true is a pass."""
    try:
        value = await asyncio.wait_for(work, limit_seconds)
        report(name, value is None or bool(value), value)
        return value
    except IqError as error:
        report(name, False, f"iq error {error.condition} {error.text}")
    except Exception as error:  # whatever the library makes of it, the check failed
        report(name, False, f"{type(error).__name__} {error}")


class Client(ClientXMPP):
    def __init__(self, name: str, resource: str):
        super().__init__(f"{name}@{DOMAIN}/{resource}", PASSWORD)
        for number in PLUGINS:
            self.register_plugin(f"xep_{number:04}")
        self.heard: dict[str, asyncio.Queue] = {}
        for event in EVENTS:
            self.add_event_handler(event, lambda stanza, event=event: self.queue(event).put_nowait(stanza))
        self.started = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.started.set())
        self.roster.auto_authorize = self.roster.auto_subscribe = None
        self.auto_authorize = self.auto_subscribe = None
        self.enable_direct_tls = False
        if CA_FILE:
            self.ca_certs = CA_FILE
        else:
            self.ssl_context.check_hostname = False
            self.ssl_context.verify_mode = ssl.CERT_NONE

    def queue(self, event: str) -> asyncio.Queue:
        return self.heard.setdefault(event, asyncio.Queue())

    async def hear(self, event: str, matches=lambda _: True, limit_seconds: float = 8):
        """The next of these events that matches."""
        end = time.monotonic() + limit_seconds
        while True:
            stanza = await asyncio.wait_for(self.queue(event).get(), max(0.05, end - time.monotonic()))
            if matches(stanza):
                return stanza

    async def hear_body(self, text: str, event: str = "message", limit_seconds: float = 8):
        return await self.hear(event, lambda stanza: stanza["body"] == text, limit_seconds)

    def say(self, to, kind: str = "chat") -> str:
        text = uuid.uuid4().hex
        self.send_message(mto=to, mbody=text, mtype=kind)
        return text

    def dial(self, address: str = f"{HOST}:{PORT}") -> None:
        host, _, port = address.rpartition(":")
        self.connect(host=host, port=int(port))

    async def log_in(self) -> None:
        self.dial()
        await asyncio.wait_for(self.started.wait(), 15)

    async def be_there(self) -> None:
        await self.get_roster()
        self.send_presence()


async def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    for name in (NAME, OTHER_NAME):
        register = [sys.executable, f"{here}/register.py", HOST, PORT, DOMAIN, name, PASSWORD]
        subprocess.run(register, stdout=subprocess.DEVNULL, check=True)

    desk, phone, juliet = Client(NAME, "desk"), Client(NAME, "phone"), Client(OTHER_NAME, "desk")
    await check("login a (STARTTLS, SASL, bind)", desk.log_in())
    await check("login a2", phone.log_in())
    await check("login b", juliet.log_in())
    for client in (desk, phone, juliet):
        await client.be_there()
    await asyncio.sleep(0.5)

    await ask_the_server(desk, juliet)
    await check("mutual subscription, roster both", subscribe_both_ways(desk, juliet), 20)
    await check("1:1 message bare JID", chat(desk, juliet))
    await check("carbons received+sent (0280)", carbons(desk, phone, juliet), 20)
    await check("MAM query finds last message (0313)", archive(desk, juliet), 20)
    later = Client(OTHER_NAME, "later")
    await check("offline message delivered with delay (0160/0203)", offline(desk, juliet, later), 25)
    juliet = later
    await check("vcard-temp set and get by other (0054)", vcard(desk, juliet))
    await check("PEP publish, contact reads (0163)", personal_event(desk, juliet))
    await check("user avatar via PEP (0084)", avatar(desk, juliet))
    await check("blocking (0191)", blocking(desk, juliet), 15)
    await rooms(desk, juliet)
    await check("HTTP upload slot+PUT+GET (0363)", upload(desk), 20)
    await check("SM resume after abrupt cut, message not lost (0198)", resume(desk, juliet), 25)
    for client in (desk, phone, juliet):
        client.disconnect()
    await asyncio.sleep(0.5)


async def ask_the_server(desk: Client, juliet: Client) -> None:
    management = desk["xep_0198"]
    report("SM enabled (0198)", bool(management.enabled_in or management.enabled_out))
    await check("ping server (0199)", desk["xep_0199"].ping(DOMAIN))
    await check("ping other client", desk["xep_0199"].ping(juliet.boundjid.full))
    await check("disco info server", desk["xep_0030"].get_info(jid=DOMAIN))
    await check("disco items server", desk["xep_0030"].get_items(jid=DOMAIN))
    account = (await desk["xep_0030"].get_info(jid=ROMEO))["disco_info"]
    identities = {(identity[0], identity[1]) for identity in account["identities"]}
    report("own account disco has pep identity", ("pubsub", "pep") in identities)
    report("own account disco has mam:2", "urn:xmpp:mam:2" in account["features"])
    await check("software version (0092)", desk["xep_0092"].get_version(DOMAIN))


async def subscribe_both_ways(desk: Client, juliet: Client) -> bool:
    for subscriber, contact in ((desk, juliet), (juliet, desk)):
        subscriber.send_presence_subscription(pto=contact.boundjid.bare)
        await contact.hear("presence_subscribe")
        contact.send_presence(pto=subscriber.boundjid.bare, ptype="subscribed")
    await asyncio.sleep(0.7)
    return desk.client_roster[JULIET.bare]["subscription"] == "both"


async def chat(desk: Client, juliet: Client) -> bool:
    message = await juliet.hear_body(desk.say(JULIET))
    return message["from"].full == desk.boundjid.full


async def carbons(desk: Client, phone: Client, juliet: Client) -> bool:
    for device in (desk, phone):
        await device["xep_0280"].enable()
    received = juliet.say(desk.boundjid.full)
    await desk.hear_body(received)
    copy = await phone.hear("carbon_received")
    sent = desk.say(JULIET)
    own_copy = await phone.hear("carbon_sent")
    return copy["carbon_received"]["body"] == received and own_copy["carbon_sent"]["body"] == sent


async def bodies_in_archive(client: Client, **query) -> list[str]:
    pages = client["xep_0313"].retrieve(iterator=True, rsm={"max": 50}, **query)
    results = [result async for page in pages for result in page["mam"]["results"]]
    return [result["mam_result"]["forwarded"]["stanza"]["body"] for result in results]


async def archive(desk: Client, juliet: Client) -> bool:
    text = desk.say(JULIET)
    await asyncio.sleep(1)
    return text in await bodies_in_archive(juliet, with_jid=ROMEO)


async def offline(desk: Client, juliet: Client, later: Client) -> bool:
    juliet.disconnect()
    await asyncio.sleep(1.5)
    text = desk.say(JULIET)
    await asyncio.sleep(0.5)
    await later.log_in()
    await later.be_there()
    return (await later.hear_body(text))["delay"]["stamp"] is not None


async def vcard(desk: Client, juliet: Client) -> bool:
    card = desk["xep_0054"].make_vcard()
    card["FN"] = "Alice"
    await desk["xep_0054"].publish_vcard(vcard=card)
    answer = await juliet["xep_0054"].get_vcard(jid=ROMEO)
    return answer["vcard_temp"]["FN"] == "Alice"


async def personal_event(desk: Client, juliet: Client) -> bool:
    payload = ET.Element("{urn:test:pep}x")
    payload.text = "hello"
    await desk["xep_0060"].publish(ROMEO, "urn:test:pep", id="i1", payload=payload)
    answer = await juliet["xep_0060"].get_items(ROMEO, "urn:test:pep")
    return len(list(answer["pubsub"]["items"])) == 1


async def avatar(desk: Client, juliet: Client) -> bool:
    image = b"\x89PNG fake"
    await desk["xep_0084"].publish_avatar(image)
    answer = await juliet["xep_0060"].get_items(ROMEO, "urn:xmpp:avatar:data")
    return [item["id"] for item in answer["pubsub"]["items"]] == [hashlib.sha1(image).hexdigest()]


async def blocking(desk: Client, juliet: Client) -> bool:
    await juliet["xep_0191"].block(ROMEO)
    listed = (await juliet["xep_0191"].get_blocked())["blocklist"]["items"]
    is_listed = any(str(item["jid"] if hasattr(item, "xml") else item) == ROMEO.bare for item in listed)
    text = desk.say(JULIET)
    try:
        await juliet.hear_body(text, limit_seconds=1.5)
        arrived = True
    except TimeoutError:
        arrived = False
    await juliet["xep_0191"].unblock(ROMEO)
    return is_listed and not arrived


async def room_service(desk: Client):
    for item in (await desk["xep_0030"].get_items(jid=DOMAIN))["disco_items"]["items"]:
        try:
            about = await desk["xep_0030"].get_info(jid=item[0])
        except IqError:
            continue
        if MUC in about["disco_info"]["features"]:
            return item[0]
    return None


async def rooms(desk: Client, juliet: Client) -> None:
    service = await room_service(desk)
    report("MUC service discovered", service is not None)
    if service is None:
        return
    room = JID(f"r{uuid.uuid4().hex[:8]}@{service}")

    async def join() -> None:
        await desk["xep_0045"].join_muc_wait(room, "alice", timeout=8)
        form = await desk["xep_0045"].get_room_config(room)
        form["type"] = "submit"
        await desk["xep_0045"].set_room_config(room, form)
        await juliet["xep_0045"].join_muc_wait(room, "bob", timeout=8)

    async def message() -> None:
        text = desk.say(room, "groupchat")
        await juliet.hear_body(text, "groupchat_message")
        await desk.hear_body(text, "groupchat_message")

    async def subject() -> None:
        desk.send_message(mto=room, mtype="groupchat", msubject="Topic X")
        await juliet.hear("groupchat_subject", lambda stanza: stanza["subject"] == "Topic X")

    async def history() -> bool:
        text = desk.say(room, "groupchat")
        await juliet.hear_body(text, "groupchat_message")
        return text in await bodies_in_archive(juliet, jid=room)

    async def kick() -> None:
        gone = juliet.queue("gone")
        juliet.add_event_handler(f"muc::{room}::got_offline", gone.put_nowait)
        await desk["xep_0045"].set_role(room, "bob", "none")
        await juliet.hear("gone", lambda presence: presence["from"].resource == "bob")

    await check("MUC create+configure+join (0045)", join(), 25)
    await check("MUC message reflected to both", message())
    await check("MUC subject change", subject())
    await check("MUC MAM", history(), 15)
    await check("MUC self-ping (0410)", juliet["xep_0199"].ping(JID(f"{room}/bob")))
    await check("MUC kick", kick(), 15)


async def upload(desk: Client) -> bool:
    service = (await desk["xep_0363"].find_upload_service(domain=JID(DOMAIN)))["from"]
    data, kind = b"x" * 4096, "application/octet-stream"
    slot = (await desk["xep_0363"].request_slot(service, "t.bin", len(data), kind))["http_upload_slot"]
    headers = {header["name"]: header["value"] for header in slot["put"]["headers"]} | {"Content-Type": kind}
    trust = ssl.create_default_context(cafile=CA_FILE) if CA_FILE else ssl._create_unverified_context()
    async with aiohttp.ClientSession() as http:
        async with http.put(slot["put"]["url"], data=io.BytesIO(data), headers=headers, ssl=trust) as answer:
            answer.raise_for_status()
        async with http.get(slot["get"]["url"], ssl=trust) as answer:
            return answer.status == 200 and await answer.read() == data


async def resume(desk: Client, juliet: Client) -> bool:
    if not desk["xep_0198"].sm_id:
        return False
    desk.transport.abort()
    await asyncio.sleep(1)
    text = juliet.say(ROMEO)
    if desk.queue("session_resumed").empty():
        desk.dial(RESUME_AT)
    await desk.hear("session_resumed", limit_seconds=10)
    await desk.hear_body(text)
    return True


warnings.filterwarnings("ignore")
logging.basicConfig(level=os.environ.get("LOG", "CRITICAL"))
asyncio.run(main())
print(f"PASS {totals['PASS']} FAIL {totals['FAIL']}")
sys.exit(1 if totals["FAIL"] else 0)
