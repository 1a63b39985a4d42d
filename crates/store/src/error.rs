//! What can go wrong, told by what the caller then knows.

/// The result of every call to a store.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
///
/// Of a failed write only [`Error::Unknown`] leaves open whether it happened; after every other error it did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store cannot be used now; nothing was written. The text says why.
    #[error("the store refused: {0}")]
    Refused(String),
    /// The write may or may not have happened: repeat it with the same content, or read it back.
    #[error("the outcome of a write is unknown: {0}")]
    Unknown(String),
    /// What was to be created exists already.
    #[error("it exists already")]
    Conflict,
    /// What was to be changed does not exist.
    #[error("it does not exist")]
    Missing,
    /// A value or a name is larger than its limit.
    #[error("{what} has {size}, at most {size_max} are allowed")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        size_max: usize,
    },
    /// What was read cannot be understood.
    #[error("what was stored cannot be read: {0}")]
    Corrupt(String),
    /// Another process has the store open.
    #[error("the store at {0} is open in another process")]
    Locked(std::path::PathBuf),
    /// The tables were made by an older version of this program.
    #[error("the store has schema {found}, this version needs {known}: type `throng migrate`")]
    Older {
        /// The version found in the store; 0 if it has none of our tables.
        found: u32,
        /// The version that this program needs.
        known: u32,
    },
    /// The files were written by a newer version of this program.
    #[error("the store has format {found}, this version reads up to {known}: use the newer version")]
    Newer {
        /// The format found in the files.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
}

impl Error {
    /// Refuses a value of `size` (of `what`, which names the unit) beyond `size_max`.
    pub(crate) fn if_larger(what: &'static str, size: usize, size_max: usize) -> Result<()> {
        if size > size_max { Err(Self::TooLarge { what, size, size_max }) } else { Ok(()) }
    }
}
