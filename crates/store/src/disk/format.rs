//! The format of the files, in a file of its own: read before anything else is opened or changed.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use crate::{Error, Result};

/// The format this version writes. A new one is needed only for what an older version would misread: records tolerate
/// added fields ([`super::record`]).
const FORMAT: u32 = 1;

const FILE: &str = "format";

/// Makes the directory if there is none, and refuses one that a newer version wrote.
pub(super) fn check(path: &Path) -> Result<()> {
    let refused = |error| Error::Refused(format!("{} cannot be opened: {error}", path.display()));
    fs::create_dir_all(path).map_err(refused)?;
    match fs::read_to_string(path.join(FILE)) {
        Ok(text) => {
            let found = text.trim().parse().map_err(|_| Error::Corrupt(format!("the format is {text:?}")))?;
            if found > FORMAT { Err(Error::Newer { found, known: FORMAT }) } else { Ok(()) }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => write(path).map_err(refused),
        Err(error) => Err(refused(error)),
    }
}

/// Written aside and renamed, so that it is whole or absent.
fn write(path: &Path) -> std::io::Result<()> {
    let aside = path.join("format.new");
    let mut file = File::create(&aside)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    fs::rename(aside, path.join(FILE))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_with_advice() {
        let directory = tempfile::tempdir().unwrap();
        check(directory.path()).unwrap();
        check(directory.path()).unwrap();

        fs::write(directory.path().join(FILE), "2\n").unwrap();

        let error = check(directory.path()).unwrap_err();
        assert_eq!(error, Error::Newer { found: 2, known: 1 });
        assert!(error.to_string().contains("use the newer version"), "{error}");
    }
}
