//! A script is played: steps in order, and again and again at their pace.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::Rng;
use xmpp::xml::write_attribute;

use crate::acts::{Act, Beat, Condition, Loop, Raw, Setting};
use crate::asking::{ANSWER_US_MAX, Then};
use crate::pace;
use crate::session::{Over, Session, Tempo};

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

impl Session {
    pub(crate) async fn play(&mut self, acts: &[Act]) -> Result<(), Over> {
        for act in acts {
            if self.client.is_none() {
                self.turn(0).await?;
            }
            match act {
                Act::Repeat(_) | Act::Chance { .. } | Act::When { .. } | Act::Measure { .. } => {
                    // Boxed, as they hold others of their kind.
                    Box::pin(self.play_nested(act)).await?;
                }
                Act::Chat { to, body, receipt } => self.chat(to, body, *receipt).await?,
                Act::Say { room, body } => self.say(room, body).await?,
                Act::Think(span) => {
                    let after_us = pace::draw(*span, &mut self.random);
                    self.think(after_us).await?;
                }
                _ => self.play_one(act).await?,
            }
        }
        Ok(())
    }

    async fn play_nested(&mut self, act: &Act) -> Result<(), Over> {
        match act {
            Act::Repeat(rounds) => self.repeat(rounds).await,
            Act::Chance { of, acts } if self.random.random::<f64>() < *of => self.play(acts).await,
            Act::When { test, acts, otherwise } => {
                let acts = if self.holds(test) { acts } else { otherwise };
                self.play(acts).await
            }
            Act::Measure { measure, acts } => {
                let intended_us = self.intended_us();
                self.play(acts).await?;
                self.stage.done(*measure, intended_us);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Steps that wait for nothing, or that few sessions play often.
    async fn play_one(&mut self, act: &Act) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        match act {
            Act::Until(us) => {
                self.wait_until(*us).await?;
                self.waited();
            }
            Act::Barrier(number) => self.meet(*number).await?,
            Act::Set { variable, to } => {
                let value = self.setting(to);
                self.set(*variable, vec![value]);
            }
            Act::NextRow(table) => self.next_row(*table),
            Act::Choose(to) => self.choose(to),
            Act::Presence { show, status, priority } => {
                self.announce(show.as_ref(), status.as_ref(), *priority);
            }
            Act::Befriend(to) => self.befriend(to).await?,
            Act::Roster => self.roster().await?,
            Act::RosterSet { jid, name, group } => {
                self.roster_set(jid, name.as_ref(), group.as_ref()).await?;
            }
            Act::RosterRemove(jid) => self.roster_remove(jid).await?,
            Act::Ping(to) => {
                let to = to.as_ref().map_or_else(|| stage.names.domain.clone(), |to| self.text(to));
                let ping = "<ping xmlns='urn:xmpp:ping'/>";
                self.ask_in_turn(stage.measures.ping, Some(&to), "get", ping, Then::Nothing).await?;
            }
            Act::Join { room, nick } => self.join(room, nick.as_ref()).await?,
            Act::Leave(room) => self.leave_room(room).await?,
            Act::CreateNode(node) => self.create_node(node).await?,
            Act::Subscribe(node) => self.subscribe(node).await?,
            Act::Unsubscribe(node) => self.unsubscribe(node).await?,
            Act::Publish { node, payload } => self.publish(node, payload).await?,
            Act::Page { items, next } => self.read_page(*items, *next).await?,
            Act::Upload { file_bytes } => Box::pin(self.upload(*file_bytes)).await?,
            Act::Active => self.push_uncounted(b"<active xmlns='urn:xmpp:csi:0'/>"),
            Act::Inactive => self.push_uncounted(b"<inactive xmlns='urn:xmpp:csi:0'/>"),
            Act::Raw(raw) => self.send_raw(raw).await?,
            Act::Relogin => self.relogin().await?,
            Act::Drop => {
                self.lose("connections-dropped");
                self.turn(0).await?;
                self.waited();
            }
            Act::Quit => return Err(Over::Script),
            Act::Abort => {
                stage.abort();
                return Err(Over::Run);
            }
            // Those that `play` knows.
            _ => {}
        }
        Ok(())
    }

    async fn repeat(&mut self, rounds: &Loop) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let (tempo, windowed) = (self.tempo, self.windowed);
        let rate = match rounds.beat {
            Beat::Rate(number) => stage.script.rates.get(number),
            _ => None,
        };
        if let Some(rate) = rate {
            rate.join();
        }
        self.windowed = matches!(rounds.beat, Beat::Window(_));
        let played = self.repeat_at_pace(rounds).await;
        if let Some(rate) = rate {
            rate.leave();
        }
        (self.tempo, self.windowed) = (tempo, windowed);
        self.waited();
        played
    }

    async fn repeat_at_pace(&mut self, rounds: &Loop) -> Result<(), Over> {
        let each = rounds.each.map(|(name, of)| (name, self.values(of).to_vec()));
        let mut due_us = self.intended_us();
        for round in 0_u64.. {
            let value = each.as_ref().map(|(name, values)| (*name, values.get(round as usize)));
            if rounds.times.is_some_and(|times| round >= times) || matches!(value, Some((_, None))) {
                break;
            }
            match rounds.beat {
                Beat::Window(size) => {
                    self.tempo = Tempo::Closed;
                    self.wait_for_window(size, rounds.until_us).await?;
                    if self.now_us() >= rounds.until_us {
                        break;
                    }
                }
                Beat::Every(_) | Beat::Rate(_) => {
                    due_us = self.next_due(rounds.beat, due_us, round == 0);
                    if due_us >= rounds.until_us {
                        self.wait_until(rounds.until_us).await?;
                        break;
                    }
                    self.wait_until(due_us).await?;
                    self.tempo = Tempo::Open { due_us };
                }
            }
            if let Some((name, Some(value))) = value {
                self.set(name, vec![value.clone()]);
            }
            if let Some(counter) = &rounds.counter {
                let count = counter.from.saturating_add(counter.by.saturating_mul(round.cast_signed()));
                self.set(counter.variable, vec![count.to_string()]);
            }
            let turns = self.turns;
            self.play(&rounds.acts).await?;
            if self.turns == turns && matches!(rounds.beat, Beat::Window(_)) {
                self.breathe().await?;
            }
            if rounds.while_holds.as_ref().is_some_and(|test| !self.holds(test)) {
                break;
            }
        }
        if matches!(rounds.beat, Beat::Window(_)) {
            self.wait_for_window(1, u64::MAX).await?;
        }
        Ok(())
    }

    /// When the round after the one that was due then is.
    fn next_due(&mut self, beat: Beat, due_us: u64, is_first: bool) -> u64 {
        let after_us = match beat {
            // Sessions that begin together are not to go in step.
            Beat::Every(span) if is_first => {
                (pace::draw(span, &mut self.random) as f64 * self.random.random::<f64>()) as u64
            }
            Beat::Every(span) => pace::draw(span, &mut self.random),
            Beat::Rate(number) => {
                let others = if is_first { self.stage.present[self.role].load(Ordering::Relaxed) } else { 0 };
                let rate = self.stage.script.rates.get(number);
                rate.map_or(0, |rate| rate.draw(others, &mut self.random))
            }
            Beat::Window(_) => 0,
        };
        // A round on the tick before would be the same round again.
        self.stage.clock.tick(due_us + after_us).max(due_us + 1)
    }

    async fn think(&mut self, after_us: u64) -> Result<(), Over> {
        match self.tempo {
            Tempo::Closed => {
                let until_us = self.stage.clock.tick(self.now_us() + after_us);
                self.wait_until(until_us).await
            }
            Tempo::Open { due_us } => {
                let due_us = due_us + after_us;
                self.wait_until(due_us).await?;
                self.tempo = Tempo::Open { due_us };
                Ok(())
            }
        }
    }

    async fn meet(&mut self, number: usize) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let Some(barrier) = stage.script.barriers.get(number) else { return Ok(()) };
        let (place, is_last) = barrier.reach();
        match &stage.options.others {
            Some(others) => others.gather(number),
            None if is_last => {
                barrier.open(place);
                stage.seats.call_all();
            }
            None => {}
        }
        self.wait_for(stage.script.end_us, |_| barrier.is_open(place)).await?;
        self.waited();
        Ok(())
    }

    async fn send_raw(&mut self, raw: &Raw) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let intended_us = self.intended_us();
        let xml = self.text(&raw.xml);
        let xml = xml.trim();
        let expect = raw.expect.as_ref().map(|expect| self.text(expect));
        let answer = if xml.starts_with("<iq") && expect.is_none() {
            let (id, iq) = self.with_id(xml);
            self.ask_raw(raw.measure, &id, iq.as_bytes(), Then::Nothing);
            if !raw.wait {
                return Ok(());
            }
            self.answer(&id).await?
        } else {
            self.expected = expect.filter(|_| raw.wait).map(|text| (text, None));
            if ["<message", "<presence", "<iq"].iter().any(|stanza| xml.starts_with(stanza)) {
                self.push(xml.as_bytes(), None);
            } else {
                self.push_uncounted(xml.as_bytes());
            }
            if self.expected.is_none() {
                return Ok(());
            }
            let limit_us = self.now_us() + ANSWER_US_MAX;
            let came = self.wait_for(limit_us, |session| matches!(session.expected, Some((_, Some(_)))));
            came.await?;
            self.waited();
            let found = self.expected.take().and_then(|(_, found)| found);
            match found {
                Some(_) => stage.done(raw.measure, intended_us),
                None => stage.failed(raw.measure, "timeout"),
            }
            found
        };
        let Some(answer) = answer else { return Ok(()) };
        let answer = String::from_utf8_lossy(answer.bytes()).into_owned();
        for (variable, finder) in &raw.keep {
            self.set(*variable, finder.find(&answer));
        }
        self.set(raw.answer, vec![answer]);
        Ok(())
    }

    /// An `iq` and its id, which it is given if it has none.
    fn with_id(&mut self, iq: &str) -> (String, String) {
        let head = iq.split_once('>').map_or(iq, |(head, _)| head);
        for quote in ['\'', '"'] {
            let known = head.split_once(&format!(" id={quote}")).and_then(|(_, rest)| rest.split_once(quote));
            if let Some((id, _)) = known {
                return (id.to_owned(), iq.to_owned());
            }
        }
        let id = self.next_id();
        let mut with = b"<iq".to_vec();
        write_attribute(&mut with, "id", &id);
        with.extend_from_slice(&iq.as_bytes()[3..]);
        (id, String::from_utf8_lossy(&with).into_owned())
    }

    fn push_uncounted(&mut self, element: &[u8]) {
        if let Some(client) = &mut self.client {
            client.push_uncounted(element);
        }
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let (of, with) = (self.text(&condition.of), self.text(&condition.with));
        condition.comparison.holds(&of, &with)
    }

    fn setting(&mut self, to: &Setting) -> String {
        match to {
            Setting::Text(template) => self.text(template),
            Setting::Letters(count) => {
                let letter = |_| char::from(LETTERS[self.random.random_range(0..LETTERS.len())]);
                (0..*count).map(letter).collect()
            }
            Setting::Modulo(by) => ((self.account - self.stage.names.first) % by.max(&1)).to_string(),
            Setting::Number(from, to) => self.random.random_range(*from..=*to.max(from)).to_string(),
        }
    }
}
