//! Requests up to the login, which a population does by itself.

use scenario::{Mechanism, Step, Transport};

use super::Request;
use crate::names::column;
use crate::session::{Session, State};
use crate::xml::Tag;

/// What Tsung asks for where a file says nothing.
const RESOURCE: &str = "tsung";
const NOT_SASL: &str = "XEP-0078 (`auth_get`, `auth_set_…`), which servers no longer take, is SASL here";

impl Session<'_> {
    /// Takes a request that belongs to the login or ends the stream; whether it is one.
    pub(super) fn login(&mut self, request: Request<'_, '_>, out: &mut Vec<Step>) -> bool {
        let tag = request.tag;
        match request.kind {
            "connect" => self.connect(tag, out),
            "starttls" => self.starttls(tag),
            "auth_get" => self.notes.info(tag, NOT_SASL),
            "auth_set_plain" => self.legacy(tag, Mechanism::Plain),
            "auth_set_digest" => {
                self.notes.info(tag, "`auth_set_digest` is SCRAM-SHA-1, which sends no password either");
                self.legacy(tag, Mechanism::ScramSha1);
            }
            "auth_set_sip" => {
                self.notes.warn(tag, "`auth_set_sip` is SCRAM-SHA-1: servers with SIP digests are not known");
                self.legacy(tag, Mechanism::ScramSha1);
            }
            "auth_sasl" => self.authenticate(Mechanism::Plain),
            "auth_sasl_anonymous" => self.authenticate(Mechanism::Anonymous),
            "auth_sasl_external" => {
                self.notes.error(tag, "SASL EXTERNAL (client certificates) cannot be converted");
            }
            "auth_sasl_bind" => self.bound(tag),
            "auth_sasl_session" => {
                self.notes.info(tag, "`auth_sasl_session` is left out: RFC 6121 has no such request");
            }
            "register" => {
                self.register = true;
                self.notes.info(tag, "the account is registered before the login, which follows in any case");
            }
            "close" => {
                if self.state == State::Online {
                    out.push(Step::Quit {});
                }
                self.state = if self.state == State::Connecting { State::Connecting } else { State::Closed };
            }
            _ => return false,
        }
        true
    }

    fn connect(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        if let Some(account) = tag.child("xmpp_authenticate") {
            self.account(account);
        }
        match self.state {
            State::Offline => self.state = State::Connecting,
            State::Closed => {
                out.retain(|step| *step != Step::Quit {});
                out.push(Step::Relogin {});
                self.state = State::Online;
            }
            // The stream begins anew after SASL and after STARTTLS.
            State::Connecting | State::Online => {}
        }
    }

    /// An account that the session names itself.
    fn account(&mut self, tag: Tag<'_, '_>) {
        let text = |name: &str| tag.attribute(name).unwrap_or_default();
        let columns = column(&self.names, text("username")).zip(column(&self.names, text("passwd")));
        let Some(((table, username), (other, password))) = columns.filter(|((a, _), (b, _))| a == b) else {
            self.notes.error(tag, "accounts that are not columns of one file cannot be converted");
            return;
        };
        let columns = (table.clone(), username, password);
        let mut known = self.options.account_columns.borrow_mut();
        match &*known {
            Some(known) if *known != columns => {
                self.notes
                    .error(tag, format!("accounts from `{other}` and from another file cannot be converted"));
            }
            _ => *known = Some(columns),
        }
        if !self.options.said_accounts.replace(true) {
            self.notes.info(tag, format!("account number n is row n of the file `{table}`"));
        }
        let variable = text("username").trim_matches('%').trim_start_matches('_');
        self.names.set_as(variable, "username");
        self.account_table = Some(table);
    }

    fn starttls(&mut self, tag: Tag<'_, '_>) {
        if self.transport == Transport::Tcp {
            self.transport = Transport::Starttls;
        }
        if tag.attribute("certfile").is_some() {
            self.notes.warn(tag, "client certificates are left out");
        }
    }

    fn legacy(&mut self, tag: Tag<'_, '_>, mechanism: Mechanism) {
        self.notes.info(tag, NOT_SASL);
        self.authenticate(mechanism);
        self.bound(tag);
    }

    fn authenticate(&mut self, mechanism: Mechanism) {
        if self.state == State::Connecting {
            self.sasl = mechanism;
        }
    }

    fn bound(&mut self, tag: Tag<'_, '_>) {
        if self.state == State::Connecting {
            let resource = tag.attribute("resource").unwrap_or(RESOURCE);
            let subst = resource.contains("%%");
            self.resource = Some(self.names.text(resource, subst, tag, self.notes));
            self.state = State::Online;
        }
    }
}
