//! What happened, as runs of consecutive numbers, in little memory: a session writes at the end, and now and then the log is
//! put in order, which joins what belongs together. Nothing is looked up while the run is on.

/// One entry: the same happened to consecutive messages of one stream.
pub(crate) trait Run: Copy {
    /// What entries are put in order by. The order of those with the same key stays.
    type Key: Ord;

    fn key(&self) -> Self::Key;

    /// Makes both one if `next` continues this.
    fn join(&mut self, next: &Self) -> bool;
}

#[derive(Clone, Debug)]
pub(crate) struct Log<R> {
    runs: Vec<R>,
    /// The log is put in order when it is this long.
    limit: usize,
}

const LIMIT_MIN: usize = 32;

impl<R> Default for Log<R> {
    fn default() -> Self {
        Self { runs: Vec::new(), limit: LIMIT_MIN }
    }
}

impl<R: Run> Log<R> {
    pub(crate) fn push(&mut self, run: R) {
        if self.runs.last_mut().is_some_and(|last| last.join(&run)) {
            return;
        }
        if self.runs.len() >= self.limit {
            self.order();
            self.limit = (self.runs.len() + self.runs.len() / 2).max(LIMIT_MIN);
            self.runs.reserve_exact(self.limit - self.runs.len());
        }
        self.runs.push(run);
    }

    /// All runs, in order and joined. To be called before [`Log::of`].
    pub(crate) fn finish(mut self) -> Finished<R> {
        self.order();
        self.runs.shrink_to_fit();
        Finished { runs: self.runs }
    }

    fn order(&mut self) {
        self.runs.sort_by_key(Run::key);
        self.runs.dedup_by(|next, kept| kept.join(next));
    }
}

/// A log that is not written any more.
#[derive(Clone, Debug)]
pub(crate) struct Finished<R> {
    pub(crate) runs: Vec<R>,
}

impl<R> Default for Finished<R> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<R: Run> Finished<R> {
    /// The runs whose key is between both, both included.
    pub(crate) fn between(&self, low: &R::Key, high: &R::Key) -> &[R] {
        let start = self.runs.partition_point(|run| run.key() < *low);
        let length = self.runs[start..].partition_point(|run| run.key() <= *high);
        &self.runs[start..start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Span(u32, u32, u32);

    impl Run for Span {
        type Key = u32;

        fn key(&self) -> u32 {
            self.0
        }

        fn join(&mut self, next: &Self) -> bool {
            let continues = self.0 == next.0 && self.2 + 1 == next.1;
            if continues {
                self.2 = next.2;
            }
            continues
        }
    }

    #[test]
    fn many_streams_in_turn_become_one_run_each() {
        let mut log = Log::default();
        for n in 1..=1000 {
            (0..50).for_each(|stream| log.push(Span(stream, n, n)));
        }
        assert!(log.runs.capacity() < 400, "{}", log.runs.capacity());

        let finished = log.finish();
        assert_eq!(finished.runs.len(), 50);
        assert_eq!(finished.between(&7, &8), &[Span(7, 1, 1000), Span(8, 1, 1000)]);
        assert!(finished.between(&50, &60).is_empty());
    }

    #[test]
    fn the_order_of_arrival_stays() {
        let mut log = Log::default();
        for n in [1, 2, 4, 3, 5] {
            log.push(Span(0, n, n));
            log.push(Span(1, n, n));
        }
        let order = log.finish().between(&0, &0).to_vec();
        assert_eq!(order, [Span(0, 1, 2), Span(0, 4, 4), Span(0, 3, 3), Span(0, 5, 5)]);
    }
}
