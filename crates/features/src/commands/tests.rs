//! Plays: an administrator at work (XEP-0050, XEP-0133).

use super::*;
use crate::account::Origin;
use crate::testing::{NOW_MS, Stage, jid, stanza, wait};

const ADMIN: &str = "http://jabber.org/protocol/admin#";

/// The administrator at a desk.
fn scene() -> (Stage, Box<dyn Feature>, Origin) {
    let mut stage = Stage::of("admin@capulet.example");
    let desk = stage.bind("desk");
    let room = stage.room(Commands::build);
    (stage, room, desk)
}

fn command(node: &str, rest: &str, form: &[(&str, &str)]) -> String {
    let fields = form.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"));
    let form: String = fields.collect();
    let form =
        if form.is_empty() { form } else { format!("<x xmlns='jabber:x:data' type='submit'>{form}</x>") };
    format!(
        "<iq id='1' type='set' to='capulet.example'>\
         <command xmlns='http://jabber.org/protocol/commands' node='{ADMIN}{node}'{rest}>{form}</command></iq>"
    )
}

/// Starts a command and submits its form.
fn run(stage: &mut Stage, room: &dyn Feature, desk: Origin, node: &str, form: &[(&str, &str)]) -> String {
    let asked = stage.ask(room, At::Host, Some(desk), &command(node, " action='execute'", &[]));
    let id = asked.split("sessionid='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    let rest = format!(" sessionid='{id}' action='complete'");
    stage.ask(room, At::Host, Some(desk), &command(node, &rest, form))
}

fn exists(stage: &Stage, account: &str) -> bool {
    wait(stage.ports.store.accounts.load(&jid(account))).unwrap().is_some()
}

fn add(stage: &mut Stage, room: &dyn Feature, desk: Origin, account: &str) -> String {
    let form = [("accountjid", account), ("password", "R0m30"), ("password-verify", "R0m30")];
    run(stage, room, desk, "add-user", &form)
}

#[test]
fn an_administrator_adds_and_deletes_a_user() {
    let (mut stage, room, desk) = scene();
    let added = add(&mut stage, &*room, desk, "juliet@capulet.example");
    assert!(added.contains("status='completed'"), "{added}");
    assert!(added.contains("<note type='info'>Operation finished successfully</note>"), "{added}");
    assert!(exists(&stage, "juliet@capulet.example"));
    assert_eq!(add(&mut stage, &*room, desk, "juliet@capulet.example"), "error conflict");
    run(&mut stage, &*room, desk, "delete-user", &[("accountjids", "juliet@capulet.example")]);
    assert!(!exists(&stage, "juliet@capulet.example"));
    let ended = stage.directory.ended.lock().unwrap().clone();
    assert_eq!(ended, [(jid("juliet@capulet.example"), "not-authorized", true)]);
}

#[test]
fn what_cannot_be_done_is_noted() {
    let (mut stage, room, desk) = scene();
    wait(stage.ports.store.accounts.create(&jid("admin@capulet.example"), store::Account::default()))
        .unwrap();
    for (node, form, note) in [
        ("add-user", vec![("accountjid", "a@elsewhere.example")], "Cannot create remote user"),
        ("add-user", vec![("accountjid", "a@b@c")], "Please provide a valid JID"),
        ("add-user", vec![("accountjid", "a@capulet.example")], "Please provide a password"),
        (
            "add-user",
            vec![("accountjid", "a@capulet.example"), ("password", "x"), ("password-verify", "y")],
            "Passwords do not match",
        ),
        ("delete-user", vec![("accountjids", "nobody@capulet.example")], "User does not exist"),
        ("delete-user", vec![("accountjids", "admin@capulet.example")], "This is your own account"),
        ("disable-user", vec![("accountjids", "capulet.example")], "Please provide a valid JID"),
    ] {
        let answer = run(&mut stage, &*room, desk, node, &form);
        assert!(answer.contains(&format!("<note type='error'>{note}")), "{answer}");
    }
}

#[test]
fn a_user_is_disabled_and_enabled_again() {
    let (mut stage, room, desk) = scene();
    add(&mut stage, &*room, desk, "juliet@capulet.example");
    for (node, disabled) in [("disable-user", true), ("reenable-user", false)] {
        run(&mut stage, &*room, desk, node, &[("accountjids", "juliet@capulet.example")]);
        let record = wait(stage.ports.store.accounts.load(&jid("juliet@capulet.example"))).unwrap().unwrap();
        assert_eq!(record.disabled, disabled);
    }
    run(&mut stage, &*room, desk, "end-user-session", &[("accountjids", "juliet@capulet.example")]);
    let ended = stage.directory.ended.lock().unwrap().clone();
    let conditions: Vec<_> = ended.iter().map(|(_, condition, removed)| (*condition, *removed)).collect();
    assert_eq!(conditions, [("not-authorized", false), ("policy-violation", false)]);
}

#[test]
fn numbers_and_lists_tell_who_is_there() {
    let (mut stage, room, desk) = scene();
    for node in ["a", "b", "c"] {
        add(&mut stage, &*room, desk, &format!("{node}@capulet.example"));
    }
    *stage.directory.online.lock().unwrap() =
        ["a@capulet.example/x", "a@capulet.example/y", "b@capulet.example/x"].map(jid).to_vec();
    let ask = |stage: &mut Stage, node| stage.ask(&*room, At::Host, Some(desk), &command(node, "", &[]));
    let value = |var: &str, value: &str| format!("<field var='{var}'><value>{value}</value></field>");
    assert!(ask(&mut stage, "get-registered-users-num").contains(&value("registeredusersnum", "3")));
    assert!(ask(&mut stage, "get-online-users-num").contains(&value("onlineusersnum", "2")));
    let listed = run(&mut stage, &*room, desk, "get-registered-users-list", &[("max_items", "2")]);
    assert!(
        listed.contains("<value>a@capulet.example</value><value>b@capulet.example</value></field>"),
        "{listed}"
    );
    let online = run(&mut stage, &*room, desk, "get-online-users-list", &[("max_items", "none")]);
    assert!(
        online.contains("<value>a@capulet.example</value><value>b@capulet.example</value></field>"),
        "{online}"
    );
    let stats = run(&mut stage, &*room, desk, "user-stats", &[("accountjid", "a@capulet.example")]);
    assert!(
        stats.contains(&value("rostersize", "0")) && stats.contains("<value>x</value><value>y</value>"),
        "{stats}"
    );
    let form = [("accountjids", "a@capulet.example")];
    let last = run(&mut stage, &*room, desk, "get-user-lastlogin", &form);
    assert!(last.contains("<value>2026-01-01T00:00:00Z</value>"), "{last}");
}

#[test]
fn an_announcement_reaches_everybody_online() {
    let (mut stage, room, desk) = scene();
    *stage.directory.online.lock().unwrap() = vec![jid("juliet@capulet.example/chamber")];
    let asked = stage.ask(&*room, At::Host, Some(desk), &command("announce", "", &[]));
    let id = asked.split("sessionid='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let submit = command("announce", &format!(" sessionid='{id}'"), &[("announcement", "curfew")]);
    stage.meet(&*room, At::Host, Some(desk), &mut stanza(&submit));
    let sent = stage.take();
    assert_eq!(sent[0].0, "juliet@capulet.example/chamber");
    assert_eq!(sent[0].1.from, Some(jid("capulet.example")));
    assert_eq!(sent[0].1.payload.find_element(ns::CLIENT, "body").unwrap().text(), "curfew");
}

#[test]
fn commands_are_listed_for_administrators_only() {
    let list = "<iq id='1' type='get' to='capulet.example'>\
        <query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>";
    let node = format!(
        "<iq id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='{ADMIN}add-user'/></iq>"
    );
    let (mut stage, room, desk) = scene();
    let listed = stage.ask(&*room, At::Host, Some(desk), list);
    assert_eq!(listed.matches("<item jid='capulet.example' node='").count(), COMMANDS.len());
    let info = stage.ask(&*room, At::Host, Some(desk), &node);
    assert!(
        info.contains("<identity category='automation' type='command-node' name='Add a user'/>"),
        "{info}"
    );

    let mut stage = Stage::new();
    let chamber = Some(stage.bind("chamber"));
    assert!(!stage.ask(&*room, At::Host, chamber, list).contains("<item"));
    assert_eq!(stage.ask(&*room, At::Host, chamber, &node), "error forbidden");
    assert_eq!(stage.ask(&*room, At::Host, chamber, &command("add-user", "", &[])), "error forbidden");
    assert_eq!(stage.ask(&*room, At::Host, chamber, &command("fly", "", &[])), "error item-not-found");
    assert_eq!(stage.ask(&*room, At::Account, None, &command("add-user", "", &[])), "go");
}

#[test]
fn a_form_is_filled_out_once_in_time_by_who_was_asked() {
    let (mut stage, room, desk) = scene();
    let other = stage.bind("other");
    let start = command("add-user", "", &[]);
    let begin = |stage: &mut Stage| {
        let asked = stage.ask(&*room, At::Host, Some(desk), &start);
        assert!(asked.contains("<actions execute='complete'><complete/></actions>"), "{asked}");
        asked.split("sessionid='").nth(1).unwrap().split('\'').next().unwrap().to_owned()
    };
    let act =
        |id: &str, action: &str| command("add-user", &format!(" sessionid='{id}' action='{action}'"), &[]);
    let id = begin(&mut stage);
    assert_eq!(stage.ask(&*room, At::Host, Some(other), &act(&id, "complete")), "error bad-request");
    for action in ["prev", "next", "fly"] {
        assert_eq!(stage.ask(&*room, At::Host, Some(desk), &act(&id, action)), "error bad-request");
    }
    assert!(stage.ask(&*room, At::Host, Some(desk), &act(&id, "cancel")).contains("status='canceled'"));
    assert_eq!(stage.ask(&*room, At::Host, Some(desk), &act(&id, "complete")), "error bad-request");
    let late = begin(&mut stage);
    stage.now_ms = NOW_MS + open::OPEN_MS_MAX + 1;
    assert_eq!(stage.ask(&*room, At::Host, Some(desk), &act(&late, "complete")), "error not-allowed");
    let early = begin(&mut stage);
    for _ in 0..open::OPEN_MAX {
        begin(&mut stage);
    }
    assert_eq!(stage.ask(&*room, At::Host, Some(desk), &act(&early, "complete")), "error bad-request");
}
