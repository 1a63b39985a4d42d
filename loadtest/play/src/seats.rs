//! What sessions of one worker know of each other: an account's seat, at which its session can be woken.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use rand::Rng;

use crate::accounts::Names;
use crate::arrivals::Part;

/// The seats of all accounts of this worker.
#[expect(clippy::struct_field_names, reason = "they are what is meant")]
pub(crate) struct Seats {
    part: Part,
    first: u64,
    seats: Box<[Seat]>,
    /// Whoever has no seat here.
    nobody: Seat,
    online: Mutex<Vec<u64>>,
}

/// One account's.
pub(crate) struct Seat {
    waker: AtomicWaker,
    /// How often it was called.
    calls: AtomicU32,
    /// Its connection is to be cut.
    cut: AtomicBool,
    /// Its session waits for its messages to arrive.
    waits: AtomicBool,
    /// Messages of this account that have arrived since it last asked.
    landed: AtomicU32,
    /// Messages that have arrived here.
    arrived: AtomicU64,
    /// Messages that sessions of this worker have sent to it, less those that have arrived.
    under_way: AtomicU64,
    /// Where it stands among those who are online.
    online_at: Mutex<Option<usize>>,
    /// The population of the last session of this account.
    role: AtomicU32,
    /// A session of the account plays, be it connected or not.
    taken: AtomicBool,
    archive_read: AtomicBool,
}

/// The account had no session yet.
const NOBODY: u32 = u32::MAX;

impl Seats {
    pub(crate) fn new(names: &Names, part: Part) -> Self {
        let own = (0..names.count).filter(|&offset| part.has(offset)).count();
        let seats = (0..own).map(|_| Seat::default()).collect();
        Self { part, first: names.first, seats, nobody: Seat::default(), online: Mutex::default() }
    }

    /// `None` for another worker's account.
    pub(crate) fn seat(&self, number: u64) -> Option<&Seat> {
        let offset = number.checked_sub(self.first)?;
        let at = offset / 2 / self.part.of * 2 + offset % 2;
        if self.part.has(offset) { self.seats.get(at as usize) } else { None }
    }

    /// The seat of an account that is known to be this worker's.
    pub(crate) fn own(&self, number: u64) -> &Seat {
        self.seat(number).unwrap_or(&self.nobody)
    }

    /// An account that is logged in, by chance; another than `own` if there is one.
    pub(crate) fn anyone_online(&self, own: u64, random: &mut impl Rng) -> Option<u64> {
        let online = self.online.lock();
        let at = |index: usize| online.get(index).copied();
        let pick = random.random_range(0..online.len().max(1));
        match at(pick)? {
            number if number == own => at((pick + 1) % online.len()),
            number => Some(number),
        }
    }

    pub(crate) fn came(&self, number: u64) {
        let Some(seat) = self.seat(number) else { return };
        let mut online = self.online.lock();
        let mut at = seat.online_at.lock();
        if at.is_none() {
            *at = Some(online.len());
            online.push(number);
        }
    }

    pub(crate) fn went(&self, number: u64) {
        let Some(seat) = self.seat(number) else { return };
        let mut online = self.online.lock();
        let Some(at) = seat.online_at.lock().take() else { return };
        online.swap_remove(at);
        if let Some(moved) = online.get(at).and_then(|&moved| self.seat(moved)) {
            *moved.online_at.lock() = Some(at);
        }
    }

    /// Cuts this share of the connections of those who are logged in, 0 to 1, chosen by chance. How many it were.
    pub(crate) fn cut(&self, share: f64, random: &mut impl Rng) -> usize {
        let online = self.online.lock().clone();
        let chosen = online.iter().filter(|_| random.random::<f64>() < share);
        chosen.filter_map(|&number| self.seat(number)).map(Seat::cut).count()
    }

    /// Calls everybody: something has changed that any of them may wait for.
    pub(crate) fn call_all(&self) {
        self.seats.iter().for_each(Seat::call);
    }

    /// Messages that are known to be under way to accounts of this worker.
    pub(crate) fn under_way(&self) -> u64 {
        self.seats.iter().map(Seat::under_way).sum()
    }

    /// Messages that have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.seats.iter().map(|seat| seat.arrived.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Seat)> {
        let numbers = (0_u64..).filter(|&offset| self.part.has(offset)).map(|offset| self.first + offset);
        numbers.zip(&self.seats)
    }
}

impl Default for Seat {
    fn default() -> Self {
        Self {
            waker: AtomicWaker::new(),
            calls: AtomicU32::new(0),
            cut: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            landed: AtomicU32::new(0),
            arrived: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            online_at: Mutex::new(None),
            role: AtomicU32::new(NOBODY),
            taken: AtomicBool::new(false),
            archive_read: AtomicBool::new(false),
        }
    }
}

impl Seat {
    /// From now on, this is who is called.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// How often it was called: a session that remembers this number sees that it was called since.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Acquire)
    }

    /// Has the session look again at what it waits for.
    pub(crate) fn call(&self) {
        self.calls.fetch_add(1, Ordering::Release);
        self.waker.wake();
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether its connection was to be cut since it was last asked.
    pub(crate) fn take_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed) && self.cut.swap(false, Ordering::AcqRel)
    }

    /// Whether the session is to be called for each of its messages that arrives.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Release);
    }

    /// A message that this account has sent has arrived.
    pub(crate) fn land(&self) {
        self.landed.fetch_add(1, Ordering::AcqRel);
        if self.waits.load(Ordering::Acquire) {
            self.call();
        }
    }

    /// How many messages of this account have arrived since this was last asked.
    pub(crate) fn take_landed(&self) -> u32 {
        self.landed.swap(0, Ordering::AcqRel)
    }

    /// A message is under way to this account.
    pub(crate) fn expect(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// A message that was under way will not come, or nobody can know.
    pub(crate) fn give_up(&self) {
        let less = |n: u64| n.checked_sub(1);
        let _ = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// A message has arrived here.
    pub(crate) fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        self.give_up();
    }

    pub(crate) fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.online_at.lock().is_some()
    }

    /// A session of this population has the account.
    pub(crate) fn take(&self, role: usize) {
        self.role.store(role as u32, Ordering::Relaxed);
        self.taken.store(true, Ordering::Release);
    }

    /// The account's session has ended.
    pub(crate) fn leave(&self) {
        self.taken.store(false, Ordering::Release);
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// The population of the account's last session, if it had any.
    pub(crate) fn role(&self) -> Option<usize> {
        let role = self.role.load(Ordering::Relaxed);
        (role != NOBODY).then_some(role as usize)
    }

    pub(crate) fn is_archive_read(&self) -> bool {
        self.archive_read.load(Ordering::Acquire)
    }

    /// Says that the account's archive has been read; whether it had not been.
    pub(crate) fn read_archive(&self) -> bool {
        !self.archive_read.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Words;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn seats(part: Part) -> Seats {
        let accounts = scenario::Accounts {
            count: 8,
            first: 100,
            username: "user{n}".to_owned(),
            password: "secret".to_owned(),
        };
        Seats::new(&Names::new(&accounts, "example.org", &Words::default(), std::sync::Arc::default()), part)
    }

    #[test]
    fn every_account_of_the_worker_has_one_seat() {
        let seats = seats(Part { index: 1, of: 2 });
        let own: Vec<u64> = seats.iter().map(|(number, _)| number).collect();
        assert_eq!(own, [102, 103, 106, 107]);
        for (number, seat) in seats.iter() {
            assert!(std::ptr::eq(seat, seats.seat(number).unwrap()), "{number}");
        }
        assert!(seats.seat(100).is_none() && seats.seat(99).is_none() && seats.seat(110).is_none());
    }

    #[test]
    fn who_went_is_not_found_any_more() {
        let mut random = SmallRng::seed_from_u64(1);
        let seats = seats(Part::WHOLE);
        assert_eq!(seats.anyone_online(100, &mut random), None);
        for number in 100..104 {
            seats.came(number);
        }
        seats.went(100);
        seats.went(103);
        assert_eq!(seats.online.lock().len(), 2);
        for _ in 0..50 {
            assert_eq!(seats.anyone_online(101, &mut random), Some(102));
        }
    }

    #[test]
    fn a_cut_of_all_reaches_all_once() {
        let mut random = SmallRng::seed_from_u64(1);
        let seats = seats(Part::WHOLE);
        seats.came(100);
        seats.came(101);
        assert_eq!(seats.cut(1.0, &mut random), 2);
        let seat = seats.seat(101).unwrap();
        assert!(seat.take_cut() && !seat.take_cut());
    }
}
