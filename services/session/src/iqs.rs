//! IQ requests of clients to others: every one is answered, by the other side or by its own owner.

use features::account::Origin;
use xmpp::stanza::{Condition, Kind, Stanza, StanzaError, Type};

use crate::lane::Arrival;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::OpenIq;

/// Requests of one session that wait for their answer; beyond, they are refused.
const OPEN_MAX: usize = 256;

impl Resident {
    /// A client's request is about to leave; false: too many wait for their answer already.
    pub(crate) fn open_iq(&mut self, cx: &mut Cx<'_>, id: Origin, stanza: &Stanza) -> bool {
        if stanza.kind != Kind::Iq || !matches!(stanza.ty, Type::Get | Type::Set) {
            return true;
        }
        let deadline_ms = cx.now_ms + cx.owner.config.iq_deadline_s * 1_000;
        let (Some(to), Some(iq)) = (stanza.to.clone(), stanza.id.clone()) else { return true };
        let Some(stream) = self.stream_mut(id) else { return true };
        if stream.open_iqs.len() >= OPEN_MAX {
            return false;
        }
        stream.open_iqs.push_back(OpenIq { to, id: iq, deadline_ms });
        self.watch(cx);
        true
    }

    /// Something has come that may be the answer to a request.
    pub(crate) fn close_iq(&mut self, id: Origin, stanza: &Stanza) {
        if !matches!(stanza.ty, Type::Result | Type::Error) {
            return;
        }
        let Some(stream) = self.stream_mut(id) else { return };
        let found = stream
            .open_iqs
            .iter()
            .position(|iq| stanza.id.as_ref() == Some(&iq.id) && stanza.from.as_ref() == Some(&iq.to));
        if let Some(at) = found {
            stream.open_iqs.remove(at);
            if stream.open_iqs.is_empty() {
                stream.open_iqs = std::collections::VecDeque::new();
            }
        }
    }

    /// Nobody has answered in time.
    pub(crate) fn answer_iq(&mut self, cx: &mut Cx<'_>, id: Origin, iq: &OpenIq) {
        let Some(session) = self.account.session(id) else { return };
        let request = Stanza::iq(Type::Get)
            .with_from(session.jid.clone())
            .with_to(iq.to.clone())
            .with_id(iq.id.clone());
        if let Some(answer) = request.error(StanzaError::from(Condition::RemoteServerTimeout)) {
            self.arrive(cx, Arrival::ToSession(id, None, answer));
        }
    }
}
