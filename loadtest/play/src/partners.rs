//! To whom a step goes.

use rand::Rng;

use crate::acts::To;
use crate::session::Session;

/// How often an account that is not logged in is looked for by chance.
const TRIES_MAX: usize = 32;

/// Somebody, and the number of the account, if it is one of the scenario's.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    pub jid: String,
    pub account: Option<u64>,
}

impl Session {
    /// Chooses the partner; there is none if nobody fits.
    pub(crate) fn choose(&mut self, to: &To) {
        let stage = std::sync::Arc::clone(&self.stage);
        let names = &stage.names;
        let account = match to {
            To::Population => return self.choose(&stage.script.roles[self.role].partner),
            To::Previous => return,
            To::Pair => Some(names.pair(self.account)),
            To::Ring => Some(names.next(self.account)),
            To::Anyone => Some(self.anyone()),
            To::Online => stage.seats.anyone_online(self.account, &mut self.random),
            To::Offline => {
                let is_offline =
                    |number: &u64| stage.seats.seat(*number).is_none_or(|seat| !seat.is_online());
                (0..TRIES_MAX).map(|_| self.anyone()).find(is_offline)
            }
            To::Oneself => Some(self.account),
            To::Contact | To::Jid(_) => {
                self.partner = self.jid_of(to).map(|jid| Partner { account: names.number(&jid), jid });
                return;
            }
        };
        // It is mostly the same again.
        if self.partner.as_ref().is_none_or(|partner| partner.account.is_none() || partner.account != account)
        {
            self.partner = account.map(|number| Partner { jid: names.bare(number), account });
        }
    }

    /// Another account by chance; the own if there is no other.
    fn anyone(&mut self) -> u64 {
        let names = &self.stage.names;
        let others = names.count - 1;
        if others == 0 {
            return self.account;
        }
        let number = names.first + self.random.random_range(0..others);
        if number >= self.account { number + 1 } else { number }
    }

    fn jid_of(&mut self, to: &To) -> Option<String> {
        if let To::Jid(template) = to {
            return Some(self.text(template));
        }
        let count = self.contacts.len();
        (count > 0).then(|| self.contacts[self.random.random_range(0..count)].clone())
    }
}
