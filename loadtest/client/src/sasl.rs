//! The login (RFC 6120 §6) on a stream that offers it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::sasl::{self, Mechanism, NONCE_BYTES};

use crate::element::Element;
use crate::error::{Error, Stage};
use crate::login::Login;
use crate::plan::Plan;

/// Messages of one exchange that a server may send: SCRAM needs two.
const STEPS_MAX: usize = 4;

/// Logs in with the plan's mechanism.
pub(crate) async fn authenticate(login: &mut Login<'_>, features: &Element) -> Result<(), Error> {
    let plan = login.plan;
    if !offers(features, plan.mechanism) {
        return Err(Error::new(Stage::Auth, "invalid-mechanism").with_text("the server does not offer it"));
    }
    let mut exchange = start(plan)?;
    let first = match plan.mechanism {
        // RFC 6120 §6.4.2: an empty initial response is written so, but some servers know only none at all.
        Mechanism::Anonymous => String::new(),
        _ => STANDARD.encode(exchange.first()),
    };
    let name = plan.mechanism.name();
    login.push(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{name}'>{first}</auth>"));
    for _ in 0..STEPS_MAX {
        let answer = login.element(Stage::Auth).await?;
        let data = STANDARD.decode(answer.tag().text()).map_err(|_| malformed("base64"))?;
        match answer.name() {
            b"challenge" => {
                let response = respond(exchange, data).await;
                let response = response.map_err(|error| malformed(&error.to_string()))?;
                exchange = response.0;
                let data = STANDARD.encode(response.1);
                login.push(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{data}</response>"));
            }
            b"success" if plan.mechanism == Mechanism::Anonymous => return Ok(()),
            b"success" => return exchange.finish(&data).map_err(|error| malformed(&error.to_string())),
            _ => return Err(Error::from_element(Stage::Auth, &answer)),
        }
    }
    Err(malformed("too many challenges"))
}

fn offers(features: &Element, mechanism: Mechanism) -> bool {
    features.contains(format!(">{}<", mechanism.name()).as_bytes())
}

fn start(plan: &Plan) -> Result<sasl::Client, Error> {
    let mut random = [0; NONCE_BYTES];
    getrandom::fill(&mut random).map_err(|error| malformed(&error.to_string()))?;
    let login = sasl::Login {
        username: plan.username.clone(),
        password: plan.password.clone().into_bytes().into(),
        authzid: None,
        binding: None,
    };
    sasl::Client::start(plan.mechanism, login, sasl::nonce(random))
        .map_err(|error| malformed(&error.to_string()))
}

async fn respond(
    mut exchange: sasl::Client,
    challenge: Vec<u8>,
) -> Result<(sasl::Client, Vec<u8>), sasl::ClientError> {
    let response = exchange.respond(&challenge)?;
    Ok((exchange, response))
}

fn malformed(text: &str) -> Error {
    Error::new(Stage::Auth, "malformed").with_text(text)
}
