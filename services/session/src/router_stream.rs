//! The connection to a router: kept, and read.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use node::{Outbox, Peer, Peers, Wire, carry};
use proto::delivery as wire;
use proto::router::frame::Kind;
use proto::router::router_client::RouterClient;
use proto::router::{Frame, Frames};
use tokio::task::JoinHandle;
use xmpp::stanza::Condition;

use crate::owner::Owner;
use crate::router_link::RouterLink;
use crate::shard;
use crate::uid;
use crate::work::{Finish, Inbound, Work};

/// Between tries to reach a router, in milliseconds.
const RETRY_MS: u64 = 100;

/// Keeps a connection to each router that there is, as they come and go.
pub(crate) async fn follow(owner: Weak<Owner>, mut routers: Peers) {
    let mut kept: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        let there = routers.borrow_and_update().clone();
        let Some(strong) = owner.upgrade() else { break };
        for (name, task) in kept.extract_if(|name, _| !there.iter().any(|peer| peer.name == *name)) {
            task.abort();
            let index = strong.routes.place(&name);
            if let Some(link) = strong.routes.present(index) {
                strong.routes.lost(link);
            }
        }
        for Peer { name, wire } in there {
            let index = strong.routes.place(&name);
            kept.entry(name).or_insert_with(|| tokio::spawn(keep(owner.clone(), index, wire)));
        }
        drop(strong);
        if routers.changed().await.is_err() {
            // They stay as they are: so do their connections.
            return;
        }
    }
}

/// Connects to a router again and again, as long as there is an owner.
pub(crate) async fn keep(owner: Weak<Owner>, index: u32, wire: Wire) {
    loop {
        let Some(strong) = owner.upgrade() else { return };
        if let Err(error) = connection(strong, index, wire.clone()).await {
            tracing::debug!(%error, router = index, "no connection to a router");
        }
        tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
    }
}

async fn connection(owner: Arc<Owner>, index: u32, wire: Wire) -> Result<(), tonic::Status> {
    let (outbox, batches) = Outbox::new(|frames| Frames { frames });
    outbox.send(frame(Kind::Hello(owner.hello())));
    outbox.send(frame(Kind::Table(owner.slots.table())));
    let limit = node::wire::MESSAGE_BYTES_MAX;
    let mut client =
        RouterClient::new(wire).max_decoding_message_size(limit).max_encoding_message_size(limit);
    let mut inbound = client.route(batches).await?.into_inner();
    let link = owner.routes.connected(index, outbox.clone());
    owner.routes.receiving.connected(link, outbox.clone());
    let weak = Arc::downgrade(&owner);
    drop(owner);
    let ended = loop {
        let frames = match inbound.message().await {
            Ok(Some(frames)) => frames,
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        };
        let Some(owner) = weak.upgrade() else { break Ok(()) };
        read(&owner, link, frames);
    };
    outbox.close();
    if let Some(owner) = weak.upgrade() {
        owner.routes.lost(link);
    }
    ended
}

fn read(owner: &Arc<Owner>, link: RouterLink, frames: Frames) {
    let mut works = Vec::new();
    for frame in frames.frames {
        match frame.kind {
            Some(Kind::Item(item)) => item_works(owner, link, &item, &mut works),
            Some(Kind::Done(done)) => owner.routes.done(link, done),
            Some(Kind::Moved(moved)) => owner.routes.moved(&moved),
            Some(Kind::Table(table)) => owner.routes.owned(&table),
            Some(Kind::Hello(_) | Kind::Credit(_)) | None => {}
        }
    }
    owner.post_all(works.into_iter());
}

fn item_works(owner: &Owner, link: RouterLink, item: &wire::Item, works: &mut Vec<(usize, Work)>) {
    let (Some(uid), Ok(stanza)) = (item.uid.as_ref().and_then(uid::unpack), carry::unpack(&item.stanza))
    else {
        return owner.routes.receiving.refuse(link, item.seq, Condition::BadRequest);
    };
    if owner.clock.now_ms() > item.sent_at + owner.config.item_age_ms_max() {
        return tracing::warn!("an item was older than anything that anybody waits for");
    }
    let takes = |slot: u32| u16::try_from(slot).is_ok_and(|slot| owner.slots.takes(slot));
    if !item.to.iter().all(|target| takes(target.slot)) {
        owner.routes.receiving.pass_over(item, takes);
    }
    for (number, to) in owner.routes.receiving.take(link, uid, item) {
        let mut stanza = stanza.clone();
        stanza.to = Some(to.clone());
        let (shard, finish) = (shard::of(to.bare_str()), Finish::Remote(number));
        works.push((
            shard,
            Work::Inbound(Box::new(Inbound { uid, finish, must: item.must, marked: false, to, stanza })),
        ));
    }
}

fn frame(kind: Kind) -> Frame {
    Frame { kind: Some(kind) }
}
