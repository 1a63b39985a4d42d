//! The sending queue of a wire: whatever has gathered since the last poll leaves as one message.
//!
//! Many threads put frames in, one stream takes batches out. A frame costs a lock and a push; only the first frame
//! after the stream has gone to sleep wakes it. The queue itself has no bound: what may be in it is bounded by the
//! wire's credit, since acknowledgements must never wait for room.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use parking_lot::Mutex;

/// Frames that leave in one message at most: keeps a message well under gRPC's 4 MiB and its latency low.
pub const BATCH_FRAMES_MAX: usize = 512;

/// The end that frames are put into. Clones feed the same queue.
pub struct Outbox<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

/// The end that a wire takes batches from. When it is dropped, the outbox is closed.
pub struct Batches<T, M> {
    shared: Arc<Mutex<Shared<T>>>,
    pack: fn(Vec<T>) -> M,
}

struct Shared<T> {
    queue: Vec<T>,
    waker: Option<Waker>,
    closed: bool,
}

impl<T> Outbox<T> {
    /// A queue and the stream that empties it; `pack` makes one message of a batch.
    pub fn new<M>(pack: fn(Vec<T>) -> M) -> (Self, Batches<T, M>) {
        let shared = Arc::new(Mutex::new(Shared { queue: Vec::new(), waker: None, closed: false }));
        (Self { shared: Arc::clone(&shared) }, Batches { shared, pack })
    }

    /// Puts a frame in; false when the wire is gone.
    pub fn send(&self, frame: T) -> bool {
        self.put(|queue| queue.push(frame))
    }

    /// Puts all frames in, in order and next to each other; false when the wire is gone.
    pub fn send_all(&self, frames: &mut Vec<T>) -> bool {
        frames.is_empty() || self.put(|queue| queue.append(frames))
    }

    /// Puts a frame in without waking the stream: whoever does so calls [`Outbox::wake`] when it is done.
    pub fn queue(&self, frame: T) {
        let mut shared = self.shared.lock();
        if !shared.closed {
            shared.queue.push(frame);
        }
    }

    /// Wakes the stream if there is something for it.
    pub fn wake(&self) {
        let waker = {
            let mut shared = self.shared.lock();
            if shared.queue.is_empty() { None } else { shared.waker.take() }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the stream after what is queued.
    pub fn close(&self) {
        let waker = {
            let mut shared = self.shared.lock();
            shared.closed = true;
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the wire is gone or was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Frames waiting to leave.
    pub fn len(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// Whether nothing waits to leave.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&self, fill: impl FnOnce(&mut Vec<T>)) -> bool {
        let waker = {
            let mut shared = self.shared.lock();
            if shared.closed {
                return false;
            }
            fill(&mut shared.queue);
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, M> Stream for Batches<T, M> {
    type Item = M;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let mut shared = self.shared.lock();
        if shared.queue.is_empty() {
            if shared.closed {
                return Poll::Ready(None);
            }
            shared.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let batch = if shared.queue.len() <= BATCH_FRAMES_MAX {
            // The next batch will be about as long: it need not grow step by step.
            let next = Vec::with_capacity(shared.queue.len());
            std::mem::replace(&mut shared.queue, next)
        } else {
            let rest = shared.queue.split_off(BATCH_FRAMES_MAX);
            std::mem::replace(&mut shared.queue, rest)
        };
        drop(shared);
        Poll::Ready(Some((self.pack)(batch)))
    }
}

impl<T, M> Drop for Batches<T, M> {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.closed = true;
        shared.queue = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn what_gathers_leaves_together_and_in_order() {
        let (outbox, mut batches) = Outbox::new(|batch: Vec<u32>| batch);
        outbox.send(1);
        outbox.send_all(&mut vec![2, 3]);
        assert_eq!(batches.next().await, Some(vec![1, 2, 3]));
        let waiting = tokio::spawn(async move { batches.next().await });
        tokio::task::yield_now().await;
        outbox.send(4);
        assert_eq!(waiting.await.unwrap(), Some(vec![4]));
        assert!(!outbox.send(5), "the stream is gone");
    }

    #[tokio::test]
    async fn a_long_queue_leaves_in_bounded_messages() {
        let (outbox, mut batches) = Outbox::new(|batch: Vec<usize>| batch);
        outbox.send_all(&mut (0..=BATCH_FRAMES_MAX).collect());
        outbox.close();
        assert_eq!(batches.next().await.map(|b| b.len()), Some(BATCH_FRAMES_MAX));
        assert_eq!(batches.next().await, Some(vec![BATCH_FRAMES_MAX]));
        assert_eq!(batches.next().await, None);
    }
}
