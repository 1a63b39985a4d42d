//! What a session asks (`iq`), and the answers.

use std::sync::Arc;

use client::Element;
use figures::Measure;
use xmpp::xml::write_attribute;

use crate::session::{Over, Session, Tempo};

/// The longest that is waited for an answer, in microseconds.
pub(crate) const ANSWER_US_MAX: u64 = 60_000_000;

/// What was asked.
#[derive(Debug)]
pub(crate) struct Question {
    id: String,
    measure: Measure,
    intended_us: u64,
    /// What is done with a result.
    then: Then,
    /// Somebody waits for it.
    awaited: bool,
    answer: Option<Answer>,
}

/// What is done when an answer comes, beside measuring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// The contacts are taken from it.
    Roster,
    /// It tells what became of an item (XEP-0060).
    Published(crate::session::Followed),
    /// That something is there already is no failure.
    ConflictIsFine,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Result(Element),
    Failed,
}

impl Answer {
    pub(crate) fn result(self) -> Option<Element> {
        match self {
            Self::Result(element) => Some(element),
            Self::Failed => None,
        }
    }
}

impl Session {
    /// Whether the roster has been asked for and not come.
    pub(crate) fn asks_for_roster(&self) -> bool {
        self.questions.iter().any(|question| question.then == Then::Roster && question.answer.is_none())
    }

    /// Asks with a payload, and returns the id of the question.
    pub(crate) fn ask(
        &mut self,
        measure: Measure,
        to: Option<&str>,
        ty: &str,
        payload: &str,
        then: Then,
    ) -> String {
        let id = self.next_id();
        let mut iq = std::mem::take(&mut self.scratch);
        iq.clear();
        iq.extend_from_slice(b"<iq");
        write_attribute(&mut iq, "type", ty);
        write_attribute(&mut iq, "id", &id);
        if let Some(to) = to {
            write_attribute(&mut iq, "to", to);
        }
        iq.push(b'>');
        iq.extend_from_slice(payload.as_bytes());
        iq.extend_from_slice(b"</iq>");
        self.ask_raw(measure, &id, &iq, then);
        self.scratch = iq;
        id
    }

    /// Sends an `iq` as it is; `id` is its own.
    pub(crate) fn ask_raw(&mut self, measure: Measure, id: &str, iq: &[u8], then: Then) {
        let intended_us = self.intended_us();
        if self.push(iq, None) {
            let question =
                Question { id: id.to_owned(), measure, intended_us, then, awaited: false, answer: None };
            self.questions.push(question);
        } else {
            self.stage.failed(measure, "queue-full");
        }
    }

    /// Waits for the answer; `None` if it is an error, or none has come.
    pub(crate) async fn answer(&mut self, id: &str) -> Result<Option<Element>, Over> {
        let Some(question) = self.questions.iter_mut().find(|question| question.id == id) else {
            return Ok(None);
        };
        question.awaited = true;
        let limit_us = self.now_us() + ANSWER_US_MAX;
        let waited = self
            .wait_for(limit_us, |session| session.questions.iter().any(|q| q.id == id && q.answer.is_some()));
        waited.await?;
        self.waited();
        let at = self.questions.iter().position(|question| question.id == id);
        let question = at.map(|at| self.questions.swap_remove(at));
        let answer = question.and_then(|question| {
            if question.answer.is_none() {
                self.stage.failed(question.measure, "timeout");
            }
            question.answer
        });
        Ok(answer.and_then(Answer::result))
    }

    /// Asks, and waits for the answer where things wait for each other.
    pub(crate) async fn ask_in_turn(
        &mut self,
        measure: Measure,
        to: Option<&str>,
        ty: &str,
        payload: &str,
        then: Then,
    ) -> Result<(), Over> {
        let id = self.ask(measure, to, ty, payload, then);
        if self.tempo == Tempo::Closed {
            self.answer(&id).await?;
        }
        Ok(())
    }

    /// Takes an answer, whether it was asked for or not.
    pub(crate) fn answered(&mut self, element: &Element) {
        let Some(id) = element.id() else { return };
        let Some(at) = self.questions.iter().position(|question| question.id == id) else { return };
        let stage = Arc::clone(&self.stage);
        let question = &mut self.questions[at];
        let condition =
            element.is_error().then(|| element.error_condition().unwrap_or("undefined-condition"));
        let condition = condition.filter(|&it| !(it == "conflict" && question.then == Then::ConflictIsFine));
        let (then, awaited) = (question.then, question.awaited);
        let answer = if let Some(condition) = condition {
            stage.failed(question.measure, condition);
            Answer::Failed
        } else {
            stage.done(question.measure, question.intended_us);
            Answer::Result(element.clone())
        };
        match then {
            Then::Roster => self.take_roster(element),
            Then::Published(followed) => self.published(followed, element),
            Then::Nothing | Then::ConflictIsFine => {}
        }
        if awaited {
            self.questions[at].answer = Some(answer);
        } else {
            self.questions.swap_remove(at);
        }
    }

    /// Nothing that was asked will be answered.
    pub(crate) fn fail_questions(&mut self, condition: &str) {
        let stage = Arc::clone(&self.stage);
        for question in &mut self.questions {
            if question.answer.is_none() {
                stage.failed(question.measure, condition);
                question.answer = Some(Answer::Failed);
            }
        }
        self.questions.retain(|question| question.awaited);
    }
}
