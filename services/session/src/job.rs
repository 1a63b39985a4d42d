//! A stanza among the features of its phase, and what follows from their answer.

use features::account::Origin;
use features::context::{After, Context, Next, Output};
use xmpp::stanza::{Stanza, StanzaError, Type};

use crate::lane::{Arrival, Cause, Effect, Entry, Job, Wait};
use crate::resident::{Pending, Resident};
use crate::shard::Cx;
use crate::work::{Done, Finish, Work};

impl Resident {
    /// Something has arrived for the account: it starts, unless what is before it is at work.
    pub(crate) fn arrive(&mut self, cx: &mut Cx<'_>, arrival: Arrival) {
        if self.lane.as_ref().is_none_or(|lane| lane.open()) {
            self.start(cx, arrival);
        } else if matches!(arrival, Arrival::Inbound(_)) && self.lane_is_full(cx) {
            let Arrival::Inbound(inbound) = arrival else { return };
            cx.finish(inbound.finish, Some(xmpp::stanza::Condition::ResourceConstraint.into()));
        } else {
            self.lane_mut().waiting.push_back(arrival);
        }
    }

    /// Something follows at once from what has just started: it comes before all that waits.
    pub(crate) fn arrive_next(&mut self, cx: &mut Cx<'_>, arrival: Arrival) {
        if self.lane.as_ref().is_none_or(|lane| lane.open()) {
            self.start(cx, arrival);
        } else {
            self.lane_mut().waiting.push_front(arrival);
        }
    }

    pub(crate) fn lane_is_full(&self, cx: &Cx<'_>) -> bool {
        self.lane
            .as_ref()
            .is_some_and(|lane| lane.waiting.len() + lane.started.len() >= cx.owner.config.lane_max)
    }

    fn start(&mut self, cx: &mut Cx<'_>, arrival: Arrival) {
        match arrival {
            Arrival::Own { stream, n, stanza } => self.start_own(cx, stream, n, stanza),
            Arrival::Inbound(inbound) => self.start_inbound(cx, inbound),
            Arrival::ToSession(stream, n, stanza) => {
                let mut effects = vec![Effect::Output(Output::ToSession { stream, stanza })];
                effects.extend(n.map(|n| Effect::Answered(stream, n)));
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
            }
            Arrival::Enable(enable) => {
                let effects = vec![Effect::Enabled(enable)];
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
            }
            Arrival::Csi(stream, active) => self.start_csi(cx, stream, active),
            Arrival::Bind(bind) => self.start_bind(cx, &bind),
            Arrival::Resume(resume) => self.start_resume(cx, resume),
            Arrival::Ended(stream, link, generation, why) => {
                self.start_ended(cx, stream, &link, generation, why);
            }
            Arrival::Edge(stream, link, frame) => {
                self.lane_mut().edges -= 1;
                self.edge_frame(cx, stream, &link, *frame);
            }
            Arrival::Expired(stream) => {
                // It may have been resumed meanwhile, and even hibernate again.
                if self.stream(stream).is_some_and(|stream| stream.link.is_none() && stream.deadline_ms == 0)
                {
                    self.end_session(cx, stream);
                }
            }
            Arrival::Close(stream, condition) => {
                self.close(cx, stream, condition);
                self.end_session(cx, stream);
            }
            Arrival::Backlog(stream) => self.start_backlog(cx, stream),
            Arrival::CatchUp => self.start_catch_up(cx),
            Arrival::Registered(session) => self.start_registered(cx, *session),
        }
    }

    /// Lets a stanza meet the features of its phase.
    pub(crate) fn run(&mut self, cx: &mut Cx<'_>, mut job: Job) {
        let ((step, next), outputs) = self.with_features(cx.now_ms, job.session, |context| {
            cx.owner.chain.run(job.at, job.step, context, &mut job.stanza)
        });
        job.step = step;
        self.follow(cx, job, outputs, next);
    }

    /// Lets features see the account: their answer, and what they want done.
    pub(crate) fn with_features<R>(
        &mut self,
        now_ms: u64,
        session: Option<Origin>,
        meet: impl FnOnce(&mut Context<'_>) -> R,
    ) -> (R, Vec<Output>) {
        let mut outputs = Vec::new();
        let mut context =
            Context { now_ms, host: &self.host, account: &mut self.account, session, outputs: &mut outputs };
        let answer = meet(&mut context);
        (answer, outputs)
    }

    /// Something that the account has waited for is done.
    pub(crate) fn done(&mut self, cx: &mut Cx<'_>, done: Done) {
        match done {
            Done::Resumable(stream, generation) => self.resume(cx, stream, generation),
            Done::Continued(after) => self.continued(cx, after),
            Done::Read(rows) => self.read(cx, rows),
            Done::Saved(stream, numbers) => self.saved(cx, stream, numbers),
        }
    }

    /// The work that the lane's last entry waited for is done.
    fn continued(&mut self, cx: &mut Cx<'_>, after: Result<After, StanzaError>) {
        let Some(Pending::Job(job)) = self.pending.take().map(|pending| *pending) else { return };
        let mut job = *job;
        let (next, outputs) = match after {
            Ok(after) => {
                self.with_features(cx.now_ms, job.session, |context| after(context, &mut job.stanza))
            }
            Err(error) => (Next::Refuse(error), Vec::new()),
        };
        if let Some(lane) = &mut self.lane {
            lane.working = false;
        }
        if matches!(next, Next::Go) {
            let effects = self.leave(cx, &job, outputs);
            self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
            self.run(cx, job);
        } else {
            self.follow(cx, job, outputs, next);
        }
        self.end_work(cx);
    }

    /// Starts what has waited, until something is at work again.
    pub(crate) fn end_work(&mut self, cx: &mut Cx<'_>) {
        if self.pending.is_none()
            && let Some(lane) = &mut self.lane
        {
            lane.working = false;
        }
        while let Some(lane) = &mut self.lane {
            if lane.working {
                return;
            }
            let Some(arrival) = lane.waiting.pop_front() else { break };
            self.start(cx, arrival);
        }
        self.drain(cx);
    }

    fn follow(&mut self, cx: &mut Cx<'_>, job: Job, outputs: Vec<Output>, next: Next) {
        let mut effects = self.leave(cx, &job, outputs);
        let finish = job.cause.finish();
        match next {
            Next::Go => match job.cause {
                Cause::Own { stream, n, .. } => self.go_own(cx, job, effects, stream, n),
                Cause::Inbound(_) => self.go_inbound(cx, job, effects),
                Cause::Owner => self.push(cx, Entry { wait: Wait::Nothing, effects, finish }),
            },
            Next::Done => {
                self.became_eligible(cx, &job);
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish });
            }
            Next::Refuse(error) => match &job.cause {
                Cause::Own { stream, .. } => {
                    effects.extend(crate::client::error_effect(*stream, &job.stanza, error));
                    self.push(cx, Entry { wait: Wait::Nothing, effects, finish });
                }
                Cause::Inbound(inbound) => {
                    self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
                    cx.refuse(inbound, error);
                }
                Cause::Owner => self.push(cx, Entry { wait: Wait::Nothing, effects, finish }),
            },
            Next::Later(work) => {
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
                self.work(cx, Box::new(job), work);
            }
            Next::InTurn(work) => {
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
                self.begin(Pending::Turn(Box::new(job), work));
                self.drain(cx);
            }
        }
    }

    /// A job waits for work to be done.
    fn work(&mut self, cx: &mut Cx<'_>, job: Box<Job>, work: features::context::Work) {
        self.begin(Pending::Job(job));
        let at = self.at;
        cx.spawn(async move { Work::Done(at, Done::Continued(work.await)) });
    }

    /// Begins the work of a job whose turn has come: all before it has taken effect.
    pub(crate) fn take_turn(&mut self, cx: &mut Cx<'_>) {
        if let Some(pending) = self.pending.take_if(|pending| matches!(**pending, Pending::Turn(..)))
            && let Pending::Turn(job, work) = *pending
        {
            self.work(cx, job, work);
        }
    }

    /// Who waits for a product to be finished: a client's stanza for the subscriptions that handling it brings about.
    fn owed(&mut self, cause: &Cause, product: &Stanza) -> Finish {
        let subscription =
            matches!(product.ty, Type::Subscribe | Type::Subscribed | Type::Unsubscribe | Type::Unsubscribed);
        match cause {
            Cause::Own { stream, n, .. } if subscription => {
                if let Some(stream) = self.stream_mut(*stream) {
                    stream.inbound.more(*n);
                }
                Finish::Client(*stream, *n)
            }
            _ => Finish::Nobody,
        }
    }

    /// Sends what features have for others; the rest waits for its turn.
    fn leave(&mut self, cx: &mut Cx<'_>, job: &Job, outputs: Vec<Output>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for output in outputs {
            match output {
                Output::Send { stanza, to } => {
                    let uid = self.derived(cx, &job.cause);
                    let finish = self.owed(&job.cause, &stanza);
                    cx.route(uid, finish, stanza, &to);
                }
                other => effects.push(Effect::Output(other)),
            }
        }
        effects
    }
}

impl Cause {
    pub(crate) fn finish(&self) -> Finish {
        match self {
            Self::Own { stream, n, .. } => Finish::Client(*stream, *n),
            Self::Inbound(inbound) => inbound.finish,
            Self::Owner => Finish::Nobody,
        }
    }
}

/// A stanza that only stands where one was.
pub(crate) fn placeholder() -> Stanza {
    Stanza::presence(Type::Unavailable)
}
