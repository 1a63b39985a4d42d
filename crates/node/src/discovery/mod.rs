//! Where the processes of a role are: a list that never changes, all addresses of a DNS name, or what a watcher of
//! its own says; all of it together is what [`Peers`] shows.

mod dns;
mod place;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;

pub use self::dns::{EVERY_S, Resolver, SystemResolver, dns};
pub use self::place::{FORMS, Place, PlaceError};
use crate::peers::{Peer, Peers};
use crate::wire::{Transport, Wire};

/// Peers of one role at most; of more, those that sort first are taken.
pub const PEERS_MAX: usize = 10_000;

/// The addresses that one place stands for, as `host:port`: each item is the whole list of that moment. Whoever makes
/// it says nothing while it does not know, so that what was known last holds.
pub type Addresses = BoxStream<'static, Vec<String>>;

/// Addresses that never change.
pub fn fixed(addresses: Vec<String>) -> Addresses {
    stream::iter([addresses]).boxed()
}

/// The peers at these places, each place with its addresses, for as long as somebody looks at them. An address that
/// several places name is one peer. Its wire is made once, and is the same until no place names it any more.
pub fn peers(places: Vec<(String, Addresses)>, transport: Transport) -> Peers {
    let sender = watch::Sender::new(Vec::new());
    let peers = sender.subscribe();
    tokio::spawn(follow(places, transport, sender));
    peers
}

async fn follow(places: Vec<(String, Addresses)>, transport: Transport, sender: watch::Sender<Vec<Peer>>) {
    let tagged =
        places.into_iter().map(|(place, addresses)| addresses.map(move |list| (place.clone(), list)).boxed());
    let mut changes = stream::select_all(tagged);
    let mut known = BTreeMap::new();
    let mut wires = HashMap::new();
    loop {
        let (place, list) = tokio::select! {
            change = changes.next() => match change {
                Some(change) => change,
                // Nothing changes any more; whoever looks may still want to wait.
                None => return sender.closed().await,
            },
            () = sender.closed() => return,
        };
        let list: BTreeSet<String> = list.into_iter().collect();
        if known.get(&place) == Some(&list) {
            continue;
        }
        tracing::info!(place, addresses = ?list, "peers were found");
        known.insert(place, list);
        let all: BTreeSet<&String> = known.values().flatten().take(PEERS_MAX).collect();
        wires.retain(|address, _| all.contains(address));
        let listed = all.into_iter().filter_map(|address| peer(address, &mut wires, &transport)).collect();
        sender.send_replace(listed);
    }
}

/// `None`: a host name that no URL can have, which is in the log.
fn peer(address: &str, wires: &mut HashMap<String, Wire>, transport: &Transport) -> Option<Peer> {
    if let Some(wire) = wires.get(address) {
        return Some(Peer { name: address.to_owned(), wire: wire.clone() });
    }
    match transport.remote(address) {
        Ok(wire) => {
            wires.insert(address.to_owned(), wire.clone());
            Some(Peer { name: address.to_owned(), wire })
        }
        Err(error) => {
            tracing::warn!(address, %error, "a peer has an address that cannot be");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    fn names(peers: &mut Peers) -> Vec<String> {
        peers.borrow_and_update().iter().map(|peer| peer.name.clone()).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn places_are_one_list_and_an_address_is_one_peer() {
        let (moving, moves) = mpsc::unbounded_channel();
        let places = vec![
            ("static".to_owned(), fixed(texts(&["b:1", "a:1"]))),
            ("moving".to_owned(), UnboundedReceiverStream::new(moves).boxed()),
        ];
        let mut peers = peers(places, Transport::plain());
        peers.wait_for(|peers| peers.len() == 2).await.unwrap();
        assert_eq!(names(&mut peers), ["a:1", "b:1"]);

        moving.send(texts(&["b:1", "c:1"])).unwrap();
        peers.changed().await.unwrap();
        assert_eq!(names(&mut peers), ["a:1", "b:1", "c:1"]);

        moving.send(Vec::new()).unwrap();
        peers.changed().await.unwrap();
        assert_eq!(names(&mut peers), ["a:1", "b:1"]);
    }

    #[tokio::test]
    async fn the_same_list_again_is_no_news_and_the_last_one_holds() {
        let (moving, moves) = mpsc::unbounded_channel();
        let places = vec![("moving".to_owned(), UnboundedReceiverStream::new(moves).boxed())];
        let mut peers = peers(places, Transport::plain());
        moving.send(texts(&["a:1", "b:1"])).unwrap();
        peers.changed().await.unwrap();
        assert_eq!(names(&mut peers), ["a:1", "b:1"]);

        moving.send(texts(&["b:1", "a:1", "a:1"])).unwrap();
        moving.send(texts(&["a:1"])).unwrap();
        peers.changed().await.unwrap();
        assert_eq!(names(&mut peers), ["a:1"], "the list between them was the same");

        drop(moving);
        tokio::task::yield_now().await;
        assert!(!peers.has_changed().unwrap(), "peers outlive the one who found them");
        assert_eq!(names(&mut peers), ["a:1"]);
    }

    #[tokio::test]
    async fn nobody_looks_and_discovery_ends() {
        let (moving, moves) = mpsc::unbounded_channel();
        drop(peers(
            vec![("moving".to_owned(), UnboundedReceiverStream::new(moves).boxed())],
            Transport::plain(),
        ));

        moving.closed().await;
    }
}
