//! What a client asks of its archive: the form of XEP-0313 §4.1 and the page of XEP-0059, read once.

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;
use xmpp::{datetime, ns};

use super::retention;
use crate::data_form::{FieldType, Form, Submission};
use crate::host::Host;
use crate::stanza_ids;

/// Messages that may be asked for by their ids at once.
pub(super) const IDS_MAX: usize = 100;

/// Bytes of a query's own name, which every result repeats.
pub(super) const NAME_BYTES_MAX: usize = 1_024;

const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";

/// The fields there are (§4.1); any other is refused.
const FIELDS: &[&str] =
    &["FORM_TYPE", "with", "start", "end", "before-id", "after-id", "ids", "include-groupchat"];

/// A query that can be answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// What the client calls it.
    pub(super) name: Option<Box<str>>,
    /// The other party.
    pub(super) with: Option<Jid>,
    /// These messages only; none: all.
    pub(super) ids: Vec<u64>,
    /// Ids that have to be there (§4.1.3, §4.3.2).
    pub(super) named: Vec<u64>,
    /// Only what is above …
    pub(super) above: u64,
    /// … and below.
    pub(super) below: u64,
    /// What is lower is not shown any more.
    pub(super) oldest: u64,
    /// The newest of what matches, not the oldest.
    pub(super) backwards: bool,
    /// Messages of a page; 0: only how many there are.
    pub(super) max: usize,
    /// The page newest first.
    pub(super) flip: bool,
    /// All of what matches is meant, not what is before or after a page.
    pub(super) whole: bool,
}

impl Query {
    /// Reads `<query/>`.
    ///
    /// # Errors
    /// It makes no sense, or asks for what there is not.
    pub(super) fn parse(element: &Element, host: &Host, now_ms: u64) -> Result<Self, StanzaError> {
        let oldest = retention::oldest(host, now_ms);
        let mut query = Self {
            name: element.attribute("queryid").map(Into::into),
            above: oldest.saturating_sub(1),
            below: u64::MAX,
            oldest,
            max: host.archive_page_max,
            flip: element.child("flip-page", ns::MAM).is_some(),
            whole: true,
            ..Self::default()
        };
        if query.name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return Err(Condition::PolicyViolation.into());
        }
        if let Some(form) = Submission::inside(element) {
            query.filter(&form)?;
        }
        if let Some(set) = element.child("set", ns::RSM) {
            query.page(set)?;
        }
        Ok(query)
    }

    fn filter(&mut self, form: &Submission) -> Result<(), StanzaError> {
        if form.form_type() != Some(ns::MAM) {
            return Err(Condition::BadRequest.into());
        }
        if form.fields().any(|(name, _)| !FIELDS.contains(&name)) {
            return Err(Condition::FeatureNotImplemented.into());
        }
        self.with = form.first("with").map(str::parse).transpose().map_err(|_| Condition::JidMalformed)?;
        if let Some(start) = form.first("start") {
            self.above = self.above.max((time(start)? * 1_000).saturating_sub(1));
        }
        if let Some(end) = form.first("end") {
            // All of that millisecond.
            self.below = self.below.min((time(end)? + 1) * 1_000);
        }
        if let Some(id) = form.first("after-id") {
            self.after(id)?;
        }
        if let Some(id) = form.first("before-id") {
            self.before(id)?;
        }
        let ids = form.all("ids");
        if ids.len() > IDS_MAX {
            return Err(Condition::PolicyViolation.into());
        }
        self.ids = ids.iter().map(|text| id(text)).collect::<Result<_, _>>()?;
        self.ids.sort_unstable();
        self.ids.dedup();
        Ok(())
    }

    fn page(&mut self, set: &Element) -> Result<(), StanzaError> {
        let text = |name| set.child(name, ns::RSM).map(Element::text);
        if text("index").is_some() {
            return Err(Condition::FeatureNotImplemented.into());
        }
        if let Some(max) = text("max") {
            let max: u64 = max.trim().parse().map_err(|_| StanzaError::from(Condition::BadRequest))?;
            self.max = usize::try_from(max).unwrap_or(usize::MAX).min(self.max);
        }
        if let Some(id) = text("after") {
            self.after(&id)?;
            self.whole = false;
        }
        if let Some(id) = text("before") {
            self.backwards = true;
            if !id.is_empty() {
                self.before(&id)?;
                self.whole = false;
            }
        }
        Ok(())
    }

    fn after(&mut self, text: &str) -> Result<(), StanzaError> {
        let id = id(text)?;
        self.above = self.above.max(id);
        self.named.push(id);
        Ok(())
    }

    fn before(&mut self, text: &str) -> Result<(), StanzaError> {
        let id = id(text)?;
        self.below = self.below.min(id);
        self.named.push(id);
        Ok(())
    }
}

/// The form that a query may contain (§4.1.5).
pub(super) fn form() -> Element {
    let open = Element::new(VALIDATE, "validate")
        .attr("datatype", "xs:string")
        .with_child(Element::new(VALIDATE, "open"));
    Form::offering(ns::MAM)
        .offer("with", FieldType::JidSingle)
        .offer("start", FieldType::TextSingle)
        .offer("end", FieldType::TextSingle)
        .offer("before-id", FieldType::TextSingle)
        .offer("after-id", FieldType::TextSingle)
        .offer_validated("ids", FieldType::ListMulti, open)
        .offer("include-groupchat", FieldType::Boolean)
        .into_element()
}

/// An id of ours; anything else is in no archive.
fn id(text: &str) -> Result<u64, StanzaError> {
    stanza_ids::parse(text).ok_or_else(|| Condition::ItemNotFound.into())
}

/// Unix milliseconds; what is before 1970 is before everything, what has more than four digits for its year is no date.
fn time(text: &str) -> Result<u64, StanzaError> {
    let ms = datetime::parse(text).ok_or(StanzaError::from(Condition::BadRequest))?;
    Ok(u64::try_from(ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mam::tests::{form, set};
    use crate::testing::{NOW_MS, Stage};

    fn parse(inner: &str) -> Result<Query, Condition> {
        let xml = format!("<query xmlns='urn:xmpp:mam:2' queryid='q'>{inner}</query>");
        let element = Element::parse(xml.as_bytes(), ns::CLIENT).unwrap();
        Query::parse(&element, &Stage::new().host, NOW_MS).map_err(|error| error.condition)
    }

    #[test]
    fn times_become_ids() {
        let fields = [("start", "1970-01-01T00:00:01Z"), ("end", "1970-01-01T00:00:02Z")];
        let query = parse(&form(&fields)).unwrap();
        assert_eq!((query.above, query.below), (999_999, 2_001_000));
        let before = parse(&form(&[("start", "1969-01-01T00:00:00Z")])).unwrap();
        assert_eq!((before.above, before.below), (0, u64::MAX));
    }

    #[test]
    fn the_narrowest_limits_count() {
        let id = stanza_ids::text;
        let ids = form(&[("after-id", &id(10)), ("before-id", &id(90))]);
        let query = parse(&format!("{ids}{}", set(&format!("<after>{}</after>", id(20))))).unwrap();
        assert_eq!((query.above, query.below, query.backwards, query.whole), (20, 90, false, false));
        assert_eq!(query.named, [10, 90, 20]);
        let newest = parse(&set("<max>7</max><before/>")).unwrap();
        assert_eq!((newest.below, newest.backwards, newest.whole, newest.max), (u64::MAX, true, true, 7));
    }

    #[test]
    fn a_page_has_no_more_than_the_server_gives() {
        assert_eq!(parse("").unwrap().max, 100);
        assert_eq!(parse(&set("<max>99999999999</max>")).unwrap().max, 100);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (inner, condition) in [
            (form(&[("{urn:example}search", "x")]), Condition::FeatureNotImplemented),
            (form(&[("start", "yesterday")]), Condition::BadRequest),
            (form(&[("with", "@")]), Condition::JidMalformed),
            (form(&[("ids", "1")]), Condition::ItemNotFound),
            (form(&[("after-id", "no")]), Condition::ItemNotFound),
            (form(&[]).replace(ns::MAM, "urn:example"), Condition::BadRequest),
            (set("<max>many</max>"), Condition::BadRequest),
            (set("<index>3</index>"), Condition::FeatureNotImplemented),
            (set("<after>x</after>"), Condition::ItemNotFound),
        ] {
            assert_eq!(parse(&inner).unwrap_err(), condition, "{inner}");
        }
    }

    #[test]
    fn a_name_that_every_result_would_repeat_is_short() {
        let xml = format!("<query xmlns='urn:xmpp:mam:2' queryid='{}'/>", "q".repeat(NAME_BYTES_MAX + 1));
        let element = Element::parse(xml.as_bytes(), ns::CLIENT).unwrap();
        let refused = Query::parse(&element, &Stage::new().host, NOW_MS).unwrap_err();
        assert_eq!(refused.condition, Condition::PolicyViolation);
    }
}
