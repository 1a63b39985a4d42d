//! How a session waits: whatever for, what arrives meanwhile is dispatched, and a lost connection is made again.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use client::{Error, Event};

use crate::session::{Over, Session};

/// What a session was woken by.
enum Happened {
    Event(Result<Event, Error>),
    /// Its connection is to be cut.
    Cut,
    /// It was called at its seat: something may be as it wants it.
    Called,
    Due,
}

impl Session {
    /// Waits until that time, in microseconds since the run's start.
    pub(crate) async fn wait_until(&mut self, until_us: u64) -> Result<(), Over> {
        while self.now_us() < until_us {
            self.turn(until_us).await?;
        }
        Ok(())
    }

    /// Waits until something holds, at the longest until that time. Whether it holds.
    pub(crate) async fn wait_for(
        &mut self,
        until_us: u64,
        holds: impl Fn(&mut Self) -> bool,
    ) -> Result<bool, Over> {
        loop {
            if holds(self) {
                return Ok(true);
            }
            if self.now_us() >= until_us {
                return Ok(false);
            }
            self.turn(until_us).await?;
        }
    }

    /// Waits for the next thing that happens, at the longest until that time.
    pub(crate) async fn turn(&mut self, until_us: u64) -> Result<(), Over> {
        self.is_over()?;
        if self.client.is_none() {
            if self.epilogue {
                return Err(Over::Run);
            }
            self.come_back().await?;
        }
        let until_us = self.mind_silence(until_us);
        self.step(until_us).await;
        self.is_over()
    }

    /// As [`Self::turn`], for a connection that is there, and not to be made again.
    pub(crate) async fn step(&mut self, until_us: u64) {
        match self.happens(until_us).await {
            Happened::Event(Ok(event)) => {
                self.heard();
                self.dispatch(event);
            }
            Happened::Event(Err(error)) => {
                tracing::debug!(account = self.account, %error, "connection lost");
                self.lose("connections-lost");
            }
            Happened::Cut => self.lose("connections-cut"),
            Happened::Called | Happened::Due => {}
        }
    }

    async fn happens(&mut self, until_us: u64) -> Happened {
        self.turns += 1;
        let Self { client, sleep, stage, calls, account, .. } = self;
        let Some(client) = client else { return Happened::Due };
        let seat = stage.seats.own(*account);
        let mut next = pin!(client.next());
        let mut is_set = false;
        poll_fn(|cx| {
            seat.watch(cx.waker());
            if seat.take_cut() {
                return Poll::Ready(Happened::Cut);
            }
            if let Poll::Ready(event) = next.as_mut().poll(cx) {
                return Poll::Ready(Happened::Event(event));
            }
            let called = seat.calls();
            if called != *calls {
                *calls = called;
                return Poll::Ready(Happened::Called);
            }
            if until_us == u64::MAX {
                return Poll::Pending;
            }
            if !is_set {
                let now_us = stage.clock.now_us();
                if until_us <= now_us {
                    return Poll::Ready(Happened::Due);
                }
                is_set = true;
                let until = stage.clock.at(until_us);
                if sleep.deadline() != until {
                    sleep.as_mut().reset(until);
                }
            }
            if sleep.as_mut().poll(cx).is_ready() {
                stage.recorder.lag(stage.clock.now_us().saturating_sub(until_us));
                return Poll::Ready(Happened::Due);
            }
            Poll::Pending
        })
        .await
    }

    /// Does nothing until that time, without a connection.
    pub(crate) async fn pause_until(&mut self, until_us: u64) -> Result<(), Over> {
        let until = self.stage.clock.at(until_us);
        self.unless_over(tokio::time::sleep_until(until)).await
    }

    /// Waits for something that is no event of the connection, unless the run is over before.
    pub(crate) async fn unless_over<F: Future>(&mut self, future: F) -> Result<F::Output, Over> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.seat().watch(cx.waker());
            if let Err(over) = self.is_over() {
                return Poll::Ready(Err(over));
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Lets others play, where nothing is waited for.
    pub(crate) async fn breathe(&mut self) -> Result<(), Over> {
        tokio::task::yield_now().await;
        self.turn(0).await
    }

    fn is_over(&self) -> Result<(), Over> {
        let over = !self.epilogue && (self.stage.has_ended() || self.stage.is_aborted());
        if over { Err(Over::Run) } else { Ok(()) }
    }
}
