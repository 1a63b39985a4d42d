//! Messages between local accounts (RFC 6121 §5, §8.5).

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::Stage;

pub(crate) const PLAYS: &[Play] = plays![a_message_and_its_answer];

async fn a_message_and_its_answer(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;

    juliet.sends("<message to='{romeo}' type='chat' id='1'><body>Wherefore art thou?</body></message>").await;
    romeo.receives("<message from='{juliet/balcony}' to='{romeo}' type='chat' id='1'><body>Wherefore art thou?</body></message>").await;
    romeo
        .sends("<message to='{juliet/balcony}' type='chat'><body>Neither, fair saint</body></message>")
        .await;
    juliet.receives("<message from='{romeo/orchard}' to='{juliet/balcony}'><body>Neither, fair saint</body></message>").await;
}
