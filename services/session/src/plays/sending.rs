//! §1, §2: what an acknowledgement means, and when a stanza is finished.

use store::Direction;

use crate::testing::{Edge, Stage, chat};

#[tokio::test]
async fn a_chat_is_archived_on_both_sides_and_acknowledged() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    romeo.says(&chat("juliet", "hi"));

    juliet.hears("message chat romeo: hi").await;
    romeo.finished(2).await;
    let rows = |rows: Vec<store::Row>| rows.iter().map(|row| row.direction).collect::<Vec<_>>();
    assert_eq!(rows(stage.archive("romeo").await), [Direction::Sent]);
    assert_eq!(rows(stage.archive("juliet").await), [Direction::Received]);
}
