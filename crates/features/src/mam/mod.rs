//! Message archive management (XEP-0313): an account's own clients read its archive, page by page.
//!
//! A query has its turn in the account's lane, and reads when all before it is stored and given: a page never misses
//! what was there before the query came, and nothing becomes visible behind an id that was shown.

mod answer;
mod metadata;
mod page;
pub mod preferences;
mod query;
pub mod retention;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use store::{Archive, Documents};
use xmpp::ns;
use xmpp::stanza::{Stanza, StanzaError};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::iq;
use crate::ports::Ports;
use preferences::Preferences;
use query::Query;

/// That a client may say whether it wants groupchat messages (XEP-0313 §4.1.4): there are none in an account's archive.
const GROUPCHAT_FIELD: &str = "urn:xmpp:mam:2#groupchat-field";

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "mam",
    doc: "Lets a user's clients page through the archive of their messages.",
    specs: &[
        Spec { xep: 313, version: "1.1.3", note: "archives of accounts; without groupchat" },
        Spec { xep: 59, version: "1.0", note: "no index; a count where it costs nothing" },
        Spec { xep: 441, version: "0.2.0", note: "" },
    ],
    host_disco: &[],
    account_disco: &[ns::MAM, ns::MAM_EXTENDED, GROUPCHAT_FIELD],
    at: &[At::Account],
};

/// Reads archives, and keeps what users want archived.
pub(crate) struct Mam {
    archive: Arc<dyn Archive>,
    documents: Arc<dyn Documents>,
}

impl Mam {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { archive: ports.store.archive.clone(), documents: ports.store.documents.clone() })
    }

    fn query(&self, cx: &Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
        let query = Query::parse(&iq::child(stanza, ns::MAM, "query")?, cx.host, cx.now_ms)?;
        let (archive, account) = (self.archive.clone(), cx.account.jid.clone());
        Ok(Next::in_turn(async move {
            let page = page::read(&*archive, &account, &query).await?;
            let (results, fin) = answer::of(&account, &query, &page);
            after(move |cx, stanza| {
                has_fetched(cx, page.newest);
                for result in results {
                    cx.answer(result);
                }
                iq::answer(cx, stanza, &fin)
            })
        }))
    }

    fn metadata(&self, cx: &Context<'_>) -> Next {
        let (archive, account) = (self.archive.clone(), cx.account.jid.clone());
        let oldest = retention::oldest(cx.host, cx.now_ms);
        Next::in_turn(async move {
            let metadata = metadata::read(&*archive, &account, oldest).await?;
            after(move |cx, stanza| iq::answer(cx, stanza, &metadata))
        })
    }

    /// Nothing of the account starts before they are kept: what was sent after them meets them.
    fn prefer(&self, cx: &Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
        let preferences = Preferences::parse(&iq::child(stanza, ns::MAM, "prefs")?)?;
        let document = preferences.document()?;
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            let kept = document.is_some();
            match document {
                Some(bytes) => documents.put(&account, ns::MAM, "", bytes).await,
                None => documents.delete(&account, ns::MAM, "").await,
            }
            .map_err(iq::stored)?;
            after(move |cx, stanza| {
                let told = preferences.to_element();
                cx.account.archiving = kept.then(|| Box::new(preferences));
                iq::answer(cx, stanza, &told)
            })
        }))
    }
}

impl Feature for Mam {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// From others it is `service-unavailable`: nobody learns even whether there is an archive.
    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if cx.session.is_none() {
            return Next::Go;
        }
        if iq::is_set(stanza, ns::MAM, "query") {
            return iq::attempt(self.query(cx, stanza));
        }
        if iq::is_get(stanza, ns::MAM, "query") {
            let form = Element::new(ns::MAM, "query").with_child(query::form());
            return iq::answer(cx, stanza, &form);
        }
        if iq::is_get(stanza, ns::MAM, "metadata") {
            return self.metadata(cx);
        }
        if iq::is_set(stanza, ns::MAM, "prefs") {
            return iq::attempt(self.prefer(cx, stanza));
        }
        if iq::is_get(stanza, ns::MAM, "prefs") {
            let told = cx.account.archiving.as_deref().cloned().unwrap_or_default().to_element();
            return iq::answer(cx, stanza, &told);
        }
        Next::Go
    }
}

/// What a client has read before it takes messages is not delivered to it as well (XEP-0313 §6.1.1).
fn has_fetched(cx: &mut Context<'_>, newest: u64) {
    let Some(session) = cx.this_mut() else { return };
    if !session.eligible() && newest > session.fetched {
        session.fetched = newest;
        cx.changed();
    }
}
