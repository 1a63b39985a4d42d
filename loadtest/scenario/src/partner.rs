//! Partners: to whom a step goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Text;

/// To whom a step goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Partner {
    /// Accounts 0 and 1, 2 and 3, … counted from the first are each other's.
    #[default]
    Pair,
    /// The account with the next number; the last one's is the first.
    Ring,
    /// By chance, anyone of the accounts.
    Anyone,
    /// By chance, an account that is logged in on the same worker, and has sent presence.
    Online,
    /// By chance, an account that is not logged in on the same worker; such messages wait on the server.
    Offline,
    /// By chance, a contact of the loaded roster.
    Contact,
    /// Whoever it was the last time.
    Previous,
    /// The session itself.
    Oneself,
    /// This JID.
    Jid(Text),
}
