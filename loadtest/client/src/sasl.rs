//! The login (RFC 6120 §6) on a stream that offers it.

use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use xmpp::sasl::{self, Binding, BindingKind, Hash, Mechanism, NONCE_BYTES, PasswordError, Salting, Secret};

use crate::element::Element;
use crate::error::{Error, Stage};
use crate::login::Login;
use crate::plan::Plan;

/// The salted password of one account: hashing it costs milliseconds, which a storm of logins is not to be measured by.
#[derive(Clone, Default)]
pub struct SaltedPassword(Arc<Mutex<Option<Salted>>>);

struct Salted {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    password: Secret,
}

static HASHING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)));

/// Messages of one exchange that a server may send: SCRAM needs two.
const STEPS_MAX: usize = 4;

/// Logs in with the plan's mechanism.
pub(crate) async fn authenticate(login: &mut Login<'_>, features: &Element) -> Result<(), Error> {
    let plan = login.plan;
    if !offers(features, plan.mechanism) {
        return Err(Error::new(Stage::Auth, "invalid-mechanism").with_text("the server does not offer it"));
    }
    let mut exchange = start(plan, login.exported())?;
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
                let (continued, response) = respond(exchange, data, plan.salted.clone()).await?;
                exchange = continued;
                let data = STANDARD.encode(response);
                login.push(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{data}</response>"));
            }
            b"success" if plan.mechanism == Mechanism::Anonymous => return Ok(()),
            b"success" => return exchange.finish(&data).map_err(|error| malformed(&error.to_string())),
            _ => return Err(Error::from_element(Stage::Auth, &answer)),
        }
    }
    Err(malformed("too many challenges"))
}

impl SaltedPassword {
    /// As it was made before, if the server salts as it did then.
    fn known(&self, salting: &Salting<'_>) -> Option<Secret> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        let is_same = known.hash == salting.hash
            && known.salt == salting.salt
            && known.iterations == salting.iterations;
        is_same.then(|| known.password.clone())
    }

    fn of(&self, salting: &Salting<'_>, password: &str) -> Result<Secret, PasswordError> {
        if let Some(known) = self.known(salting) {
            return Ok(known);
        }
        let made = salting.apply(password)?;
        let Salting { hash, salt, iterations } = *salting;
        let salted = Salted { hash, salt: salt.to_vec(), iterations, password: made.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(salted);
        Ok(made)
    }
}

/// A secret is not to be shown.
impl fmt::Debug for SaltedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaltedPassword").finish_non_exhaustive()
    }
}

fn offers(features: &Element, mechanism: Mechanism) -> bool {
    features.contains(format!(">{}<", mechanism.name()).as_bytes())
}

/// Begins an exchange; a mechanism that binds to the channel needs what TLS has exported (RFC 9266).
fn start(plan: &Plan, exported: Option<Vec<u8>>) -> Result<sasl::Client, Error> {
    let mut random = [0; NONCE_BYTES];
    getrandom::fill(&mut random).map_err(|error| malformed(&error.to_string()))?;
    let login = sasl::Login {
        username: plan.username.clone(),
        password: plan.password.clone().into_bytes().into(),
        authzid: None,
        binding: exported
            .filter(|_| plan.mechanism.is_plus())
            .map(|bytes| Binding { kind: BindingKind::TlsExporter, bytes }),
    };
    sasl::Client::start(plan.mechanism, login, sasl::nonce(random))
        .map_err(|error| malformed(&error.to_string()))
}

/// Answers a challenge. A password that has to be hashed is, by as many threads as there are cores, beside those that the
/// sessions run on.
async fn respond(
    mut exchange: sasl::Client,
    challenge: Vec<u8>,
    salted: SaltedPassword,
) -> Result<(sasl::Client, Vec<u8>), Error> {
    let answer = move || {
        let response = exchange.respond_with(&challenge, |salting, password| salted.of(salting, password));
        response.map(|response| (exchange, response)).map_err(|error| malformed(&error.to_string()))
    };
    let _permit = HASHING.acquire().await.map_err(|error| malformed(&error.to_string()))?;
    tokio::task::spawn_blocking(answer).await.map_err(|error| malformed(&error.to_string()))?
}

fn malformed(text: &str) -> Error {
    Error::new(Stage::Auth, "malformed").with_text(text)
}
