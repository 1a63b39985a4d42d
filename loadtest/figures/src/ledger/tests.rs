//! Plays of senders, receivers and faults between them; and any order of arrival beside a naive model.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const RUN: u32 = 77;
const END_MS: u64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(5);

/// One sends to two, a message every tenth of a second; `order` is what arrives.
fn one_pair(messages: u32, order: &[u32]) -> Verdict {
    let mut book = Book::new(RUN);
    let mut incoming = book.incoming(2, 0);
    let ids = sent(&mut book, 1, Address::Account(2), messages, End::Finished);
    arrive(&mut incoming, &ids, order);
    book.receiver_ended(incoming, End::Finished, END_MS);
    settled(&book)
}

fn sent(book: &mut Book, from: u32, to: Address, messages: u32, end: End) -> Vec<MessageId> {
    let mut outgoing = book.outgoing(from);
    let ids = send(&mut outgoing, to, messages);
    book.sender_ended(outgoing, end);
    ids
}

fn send(outgoing: &mut Outgoing, to: Address, messages: u32) -> Vec<MessageId> {
    (0..u64::from(messages)).map(|n| outgoing.sent(to, n * 100_000)).collect()
}

fn arrive(incoming: &mut Incoming, ids: &[MessageId], order: &[u32]) {
    for &number in order {
        incoming.arrived(&ids[number as usize - 1], false);
    }
}

/// Through the form in which books travel, and balanced.
fn settled(book: &Book) -> Verdict {
    let verdict = Book::from_bytes(&book.to_bytes()).unwrap().settle(PATIENCE);
    let Verdict { owed, delivered, lost, failed, unknown, unread, .. } = verdict;
    assert_eq!(owed, delivered + lost + failed + unknown + unread, "{verdict:?}");
    verdict
}

fn named(verdict: &Verdict) -> Vec<(Kind, u64)> {
    verdict.offences.iter().map(|offence| (offence.kind, offence.seq)).collect()
}

#[test]
fn what_all_comes_once_and_in_order_is_clean() {
    let verdict = one_pair(5, &[1, 2, 3, 4, 5]);
    assert!(verdict.is_clean());
    assert_eq!((verdict.sent, verdict.owed, verdict.delivered), (5, 5, 5));
}

#[test]
fn each_fault_is_named_once() {
    let verdict = one_pair(9, &[1, 3, 4, 4, 6, 7, 5, 8]);
    assert_eq!(named(&verdict), [(Kind::Lost, 2), (Kind::Lost, 9), (Kind::Doubled, 4), (Kind::Reordered, 5)]);
    let lost = &verdict.offences[1];
    assert_eq!((lost.from, lost.to, lost.by, lost.at_ms), (1, Address::Account(2), 2, 800));
}

#[test]
fn what_takes_too_long_is_named_with_its_time() {
    let mut book = Book::new(RUN);
    let mut incoming = book.incoming(2, 0);
    let ids = sent(&mut book, 1, Address::Account(2), 3, End::Finished);
    incoming.arrived(&ids[0], false);
    incoming.arrived(&ids[1], true);
    incoming.arrived(&ids[2], false);
    book.receiver_ended(incoming, End::Finished, END_MS);

    let verdict = settled(&book);
    assert_eq!((verdict.delayed, verdict.is_clean()), (1, true));
    assert_eq!((verdict.offences[0].kind, verdict.offences[0].at_ms), (Kind::Delayed, 100));
}

#[test]
fn a_message_to_two_sessions_is_delivered_if_one_got_it() {
    let mut book = Book::new(RUN);
    let (mut desk, mut phone) = (book.incoming(2, 0), book.incoming(2, 0));
    let ids = sent(&mut book, 1, Address::Account(2), 4, End::Finished);
    arrive(&mut desk, &ids, &[1, 2, 4]);
    arrive(&mut phone, &ids, &[1, 3, 4]);
    book.receiver_ended(desk, End::Finished, END_MS);
    book.receiver_ended(phone, End::Finished, END_MS);

    let verdict = settled(&book);
    assert!(verdict.is_clean(), "copies for both are not doubled: {verdict:?}");
    assert_eq!(verdict.delivered, 4);
}

#[test]
fn sessions_of_one_account_send_streams_of_their_own() {
    let mut book = Book::new(RUN);
    let mut incoming = book.incoming(2, 0);
    let before = sent(&mut book, 1, Address::Account(2), 2, End::Left);
    let after = sent(&mut book, 1, Address::Account(2), 2, End::Finished);
    for id in [&after[0], &before[0], &after[1], &before[1]] {
        incoming.arrived(id, false);
    }
    book.receiver_ended(incoming, End::Finished, END_MS);
    assert!(settled(&book).is_clean());
}

#[test]
fn what_the_server_has_refused_for_now_is_unknown_if_it_comes_at_most_once() {
    let mut book = Book::new(RUN);
    let mut incoming = book.incoming(2, 0);
    let mut outgoing = book.outgoing(1);
    let ids = send(&mut outgoing, Address::Account(2), 4);
    outgoing.unknown(ids[1].to, ids[1].seq);
    outgoing.unknown(ids[2].to, ids[2].seq);
    outgoing.failed(ids[3].to, ids[3].seq);
    outgoing.acknowledged(ids[3].to, ids[3].seq);
    book.sender_ended(outgoing, End::Finished);
    arrive(&mut incoming, &ids, &[1, 3]);
    book.receiver_ended(incoming, End::Finished, END_MS);

    let verdict = settled(&book);
    assert!(verdict.is_clean());
    assert_eq!((verdict.unknown, verdict.unknown_delivered, verdict.failed), (1, 1, 1));
}

#[test]
fn an_unmanaged_sender_that_breaks_excuses_only_what_was_under_way() {
    let mut book = Book::new(RUN);
    let mut receivers: Vec<_> = (2..=5).map(|account| book.incoming(account, 0)).collect();
    let mut outgoing = book.outgoing(1);
    let lone = outgoing.sent(Address::Account(3), 0);
    let pair = send(&mut outgoing, Address::Account(2), 4);
    let later = outgoing.sent(Address::Account(4), 500_000);
    outgoing.sent(Address::Account(5), 600_000);
    book.sender_ended(outgoing, End::Broken);
    arrive(&mut receivers[0], &pair, &[1, 3]);
    receivers[2].arrived(&later, false);
    for receiver in receivers {
        book.receiver_ended(receiver, End::Finished, END_MS);
    }

    // What comes after something that came was taken by the server, in the stream and, by its time, in the session.
    let verdict = settled(&book);
    let lost: Vec<_> = verdict.offences.iter().map(|lost| (lost.to, lost.seq)).collect();
    assert_eq!(lost, [(lone.to, 1), (pair[1].to, 2), (pair[3].to, 4)]);
    assert_eq!(verdict.unknown, 1);
}

#[test]
fn an_unmanaged_receiver_that_breaks_excuses_only_what_was_under_way() {
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, Address::Account(2), 200, End::Finished);
    let mut before = book.incoming(2, 0);
    arrive(&mut before, &ids, &(1..=40).filter(|&n| n != 20).chain(42..=90).collect::<Vec<_>>());
    book.receiver_ended(before, End::Broken, 10_000);
    let mut after = book.incoming(2, 12_000);
    arrive(&mut after, &ids, &(121..=200).filter(|&n| n != 190).collect::<Vec<_>>());
    book.receiver_ended(after, End::Finished, END_MS);

    let verdict = settled(&book);
    assert_eq!(named(&verdict), [(Kind::Lost, 20), (Kind::Lost, 41), (Kind::Lost, 190)]);
    assert_eq!(verdict.unknown, 30);
}

#[test]
fn a_managed_receiver_that_breaks_excuses_nothing() {
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, Address::Account(2), 10, End::Finished);
    let mut before = book.incoming(2, 0);
    arrive(&mut before, &ids, &[1, 2, 3]);
    book.receiver_ended(before, End::Left, 400);
    let mut after = book.incoming(2, 2_000);
    arrive(&mut after, &ids, &[3, 4, 6, 7, 8, 9, 10]);
    book.receiver_ended(after, End::Finished, END_MS);

    assert_eq!(named(&settled(&book)), [(Kind::Lost, 5)], "3 was not acknowledged: it came to both");
}

#[test]
fn what_nobody_came_back_to_read_is_unread() {
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, Address::Account(2), 10, End::Finished);
    sent(&mut book, 1, Address::Account(3), 5, End::Finished);
    let mut incoming = book.incoming(2, 0);
    arrive(&mut incoming, &ids, &[1, 2, 3]);
    book.receiver_ended(incoming, End::Left, 400);

    let verdict = settled(&book);
    assert_eq!((verdict.unread, verdict.lost), (12, 0));
}

#[test]
fn what_comes_to_the_wrong_one_or_from_nobody_is_astray() {
    let mut book = Book::new(RUN);
    let mut incoming = book.incoming(3, 0);
    let ids = sent(&mut book, 1, Address::Account(2), 1, End::Finished);
    incoming.arrived(&ids[0], false);
    incoming.arrived(&MessageId { to: Address::Account(3), ..ids[0] }, false);
    book.receiver_ended(incoming, End::Finished, END_MS);

    let verdict = settled(&book);
    assert_eq!((verdict.astray, verdict.unread), (2, 1));
}

#[test]
fn a_room_owes_its_messages_to_everybody_while_they_are_in_it() {
    let room = Address::room("hall@rooms.example.org");
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, room, 100, End::Finished);
    let play = |book: &mut Book, account, joined_ms, left: bool, order: &[u32]| {
        let mut incoming = book.incoming(account, 0);
        incoming.joined(room, joined_ms);
        arrive(&mut incoming, &ids, order);
        if left {
            incoming.left(room);
        }
        book.receiver_ended(incoming, End::Finished, END_MS);
    };
    let all: Vec<u32> = (1..=100).collect();
    play(&mut book, 1, 0, false, &all);
    play(&mut book, 2, 0, false, &[&all[..49], &all[50..]].concat()); // 50 is missing in the middle
    play(&mut book, 3, 5_000, false, &all[51..98]); // joined late, 99 and 100 are missing
    play(&mut book, 4, 0, true, &all[..70]); // left early
    play(&mut book, 5, 9_950, false, &[]); // joined after the last one

    let verdict = settled(&book);
    let lost: Vec<_> = verdict.offences.iter().map(|lost| (lost.by, lost.seq)).collect();
    assert_eq!(lost, [(2, 50), (3, 99), (3, 100)]);
    assert_eq!((verdict.sent, verdict.delivered, verdict.owed), (100, 100 + 99 + 47 + 70, 319));
}

#[test]
fn coming_back_to_a_room_begins_anew() {
    let room = Address::room("hall@rooms.example.org");
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, room, 10, End::Finished);
    let mut incoming = book.incoming(2, 0);
    incoming.joined(room, 0);
    arrive(&mut incoming, &ids, &[1, 2, 3]);
    incoming.left(room);
    incoming.joined(room, 650);
    arrive(&mut incoming, &ids, &[8, 9, 10]);
    book.receiver_ended(incoming, End::Finished, END_MS);
    assert!(settled(&book).is_clean());
}

#[test]
fn what_a_room_sends_before_it_says_that_one_is_in_is_not_astray() {
    let room = Address::room("pubsub.example.org news");
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, room, 3, End::Finished);
    let (mut subscriber, mut stranger) = (book.incoming(2, 0), book.incoming(3, 0));
    arrive(&mut subscriber, &ids, &[1]);
    subscriber.joined(room, 50);
    arrive(&mut subscriber, &ids, &[2, 3]);
    arrive(&mut stranger, &ids, &[3]);
    book.receiver_ended(subscriber, End::Finished, END_MS);
    book.receiver_ended(stranger, End::Finished, END_MS);

    let verdict = settled(&book);
    assert_eq!((verdict.astray, verdict.delivered, verdict.lost), (1, 2, 0));
    assert_eq!(verdict.offences[0].by, 3, "who has never been in it");
}

#[test]
fn archives_hold_what_was_delivered_once() {
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, Address::Account(2), 4, End::Finished);
    let mut incoming = book.incoming(2, 0);
    arrive(&mut incoming, &ids, &[1, 2, 3, 4]);
    book.receiver_ended(incoming, End::Finished, END_MS);
    for (account, held) in [(1, &[1_usize, 2, 3, 4][..]), (2, &[1, 3, 3, 4])] {
        let mut archive = book.archive(account);
        for &number in held {
            archive.holds(&ids[number - 1]);
        }
        book.archive_read(archive);
    }
    let verdict = settled(&book);
    assert_eq!(named(&verdict), [(Kind::Unarchived, 2), (Kind::ArchivedTwice, 3)]);
    assert_eq!((verdict.archived, verdict.archive_differences), (7, 2));
}

#[test]
fn what_was_refused_is_not_missed_in_its_senders_archive() {
    let mut book = Book::new(RUN);
    let to = Address::Account(2);
    let mut sender = book.outgoing(1);
    let ids: Vec<_> = (1..=4).map(|at| sender.sent(to, at * 1000)).collect();
    // The server counts what it refuses as handled (XEP-0198 §4).
    for id in &ids {
        sender.acknowledged(to, id.seq);
    }
    sender.unknown(to, ids[1].seq);
    sender.failed(to, ids[2].seq);
    book.sender_ended(sender, End::Finished);
    let mut incoming = book.incoming(2, 0);
    arrive(&mut incoming, &ids, &[1, 4]);
    book.receiver_ended(incoming, End::Finished, END_MS);
    let mut archive = book.archive(1);
    archive.holds(&ids[0]);
    book.archive_read(archive);
    assert_eq!(named(&settled(&book)), [(Kind::Unarchived, 4)]);
}

#[test]
fn archives_have_the_order_in_which_it_was_sent() {
    let mut book = Book::new(RUN);
    let ids = sent(&mut book, 1, Address::Account(2), 4, End::Finished);
    let mut incoming = book.incoming(2, 0);
    arrive(&mut incoming, &ids, &[1, 2, 3, 4]);
    book.receiver_ended(incoming, End::Finished, END_MS);
    let mut archive = book.archive(2);
    for number in [1_usize, 4, 2, 3] {
        archive.holds(&ids[number - 1]);
    }
    book.archive_read(archive);
    let verdict = settled(&book);
    assert_eq!(named(&verdict), [(Kind::Misfiled, 4)]);
}

#[test]
fn books_of_workers_are_one_book() {
    let (mut here, mut there) = (Book::new(RUN), Book::new(RUN));
    let ids = sent(&mut here, 1, Address::Account(2), 3, End::Finished);
    let mut incoming = there.incoming(2, 0);
    arrive(&mut incoming, &ids, &[1, 3]);
    there.receiver_ended(incoming, End::Finished, END_MS);
    here.merge(there);
    assert_eq!(named(&settled(&here)), [(Kind::Lost, 2)]);
}

#[test]
fn a_pair_that_talks_for_ten_minutes_takes_little_memory() {
    let mut book = Book::new(RUN);
    let (mut incoming, mut outgoing) = (book.incoming(2, 0), book.outgoing(1));
    for n in 0..6_000 {
        let id = outgoing.sent(Address::Account(2), n * 100_000);
        incoming.arrived(&id, false);
        outgoing.acknowledged(id.to, id.seq);
    }
    book.sender_ended(outgoing, End::Finished);
    book.receiver_ended(incoming, End::Finished, END_MS);
    let (sender, receiver) = (&book.senders[0], &book.receivers[&2][0]);
    assert_eq!((sender.sent.runs.len(), sender.fates.runs.len(), receiver.arrived.runs.len()), (118, 1, 1));
    assert_eq!((size_of::<Sent>(), size_of::<Told>(), size_of::<Arrived>()), (24, 20, 16), "bytes a run");
}

/// `cargo test -p figures -- --ignored --nocapture what_a_book_takes`.
#[test]
#[ignore = "measures"]
fn what_a_book_takes() {
    let anyone = |account: u32, message: u32| {
        (account.wrapping_mul(2_654_435_761) ^ message.wrapping_mul(40_503)) % 1000
    };
    for name in ["pairs", "anyone"] {
        let partner = |account, message| if name == "pairs" { account ^ 1 } else { anyone(account, message) };
        let (accounts, messages) = (1000, 800);
        let mut book = Book::new(RUN);
        let mut incoming: Vec<_> = (0..accounts).map(|account| book.incoming(account, 0)).collect();
        for account in 0..accounts {
            let mut outgoing = book.outgoing(account);
            for message in 0..messages {
                let to = partner(account, message);
                let id = outgoing.sent(Address::Account(to), u64::from(message) * 750_000);
                incoming[to as usize].arrived(&id, false);
                outgoing.acknowledged(id.to, id.seq);
            }
            book.sender_ended(outgoing, End::Finished);
        }
        for incoming in incoming {
            book.receiver_ended(incoming, End::Finished, 600_000);
        }
        let of_senders = book.senders.iter().map(|it| 24 * it.sent.runs.len() + 20 * it.fates.runs.len());
        let of_receivers = book.receivers.values().flatten().map(|it| 16 * it.arrived.runs.len());
        let bytes = of_senders.sum::<usize>() + of_receivers.sum::<usize>();
        let (each, sent) = (bytes / accounts as usize, (accounts * messages) as usize);
        println!(
            "{name}: {each} bytes an account, {:.1} a message; as bytes {}",
            bytes as f64 / sent as f64,
            book.to_bytes().len()
        );
        let start = std::time::Instant::now();
        assert!(book.settle(PATIENCE).is_clean());
        println!("settled within {:?}", start.elapsed());
    }
}

/// What a proxy may do to one of its stanzas.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    Drop,
    Double,
    Delay,
    /// Held back while this many others pass.
    Hold(usize),
}

fn plant() -> impl Strategy<Value = Plant> {
    prop_oneof![
        Just(Plant::Drop),
        Just(Plant::Double),
        Just(Plant::Delay),
        (1_usize..4).prop_map(Plant::Hold)
    ]
}

proptest! {
    /// Any planted faults that do not touch each other: every one is found and named, none is invented.
    #[test]
    fn planted_faults_are_found_and_none_is_invented(plants in prop::collection::vec((plant(), 6_u32..30), 0..12)) {
        let mut book = Book::new(RUN);
        let (mut incoming, mut outgoing) = (book.incoming(2, 0), book.outgoing(1));
        let total = 8 + plants.iter().map(|(_, gap)| gap).sum::<u32>();
        let ids = send(&mut outgoing, Address::Account(2), total);
        let mut order: Vec<(u32, bool)> = (1..=total).map(|number| (number, false)).collect();
        let (mut at, mut expected) = (0, BTreeSet::new());
        for (plant, gap) in plants {
            at += gap;
            let place = order.iter().position(|&(number, _)| number == at).unwrap();
            let kind = match plant {
                Plant::Drop => { order.remove(place); Kind::Lost }
                Plant::Double => { order.insert(place, (at, false)); Kind::Doubled }
                Plant::Delay => { order[place].1 = true; Kind::Delayed }
                Plant::Hold(others) => { order[place..=place + others].rotate_left(1); Kind::Reordered }
            };
            expected.insert((kind, u64::from(at)));
        }
        for (number, delayed) in order {
            incoming.arrived(&ids[number as usize - 1], delayed);
        }
        book.sender_ended(outgoing, End::Finished);
        book.receiver_ended(incoming, End::Finished, END_MS);
        let verdict = settled(&book);
        prop_assert_eq!(named(&verdict).into_iter().collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(verdict.offences.len(), expected.len());
    }

    /// Anything may arrive in any order, any number of times: a set and a count know the same.
    #[test]
    fn any_arrivals_are_judged_as_a_naive_model_does(arrivals in prop::collection::vec(1_u32..=12, 0..40)) {
        let verdict = one_pair(12, &arrivals);
        let distinct: BTreeSet<u32> = arrivals.iter().copied().collect();
        let mut firsts: Vec<u32> = Vec::new();
        for &number in &arrivals {
            if !firsts.contains(&number) {
                firsts.push(number);
            }
        }
        let mut longest = vec![1_u64; firsts.len()];
        for at in 0..firsts.len() {
            let before = (0..at).filter(|&j| firsts[j] < firsts[at]).map(|j| longest[j]).max();
            longest[at] = 1 + before.unwrap_or(0);
        }
        prop_assert_eq!(verdict.lost, 12 - distinct.len() as u64);
        prop_assert_eq!(verdict.doubled, (arrivals.len() - distinct.len()) as u64);
        prop_assert_eq!(verdict.reordered, distinct.len() as u64 - longest.into_iter().max().unwrap_or(0));
        let lost: BTreeSet<u64> = named(&verdict).into_iter().filter(|&(kind, _)| kind == Kind::Lost).map(|(_, seq)| seq).collect();
        prop_assert!(lost.iter().all(|&seq| !distinct.contains(&(seq as u32))));
    }

    #[test]
    fn bytes_that_are_no_book_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0_usize..40) {
        let _ = Book::from_bytes(&bytes);
        let mut book = Book::new(RUN);
        sent(&mut book, 1, Address::Account(2), 3, End::Left);
        bytes = book.to_bytes();
        bytes.truncate(bytes.len().saturating_sub(cut + 1));
        prop_assert!(Book::from_bytes(&bytes).is_err());
    }
}
