//! The XMPP examples that Tsung ships convert, all of them. They are not shipped here: Debian's package `tsung` has them in
//! `/usr/share/doc/tsung/examples`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use scenario::{Scenario, explain};
use tsung::convert;

const EXAMPLES: [&str; 8] = [
    "bosh",
    "jabber",
    "jabber_muc",
    "jabber_node",
    "jabber_privacy",
    "jabber_register",
    "jabber_roster",
    "jabber_starttls",
];

#[test]
#[ignore = "needs Tsung's examples: TSUNG_EXAMPLES=FOLDER cargo test -p tsung -- --ignored"]
fn the_examples_that_tsung_ships_convert() {
    let folder = PathBuf::from(env::var_os("TSUNG_EXAMPLES").expect("TSUNG_EXAMPLES is their folder"));
    for name in EXAMPLES {
        let xml = read(&folder, name);
        let converted = convert(&xml, name).unwrap_or_else(|notes| panic!("{name}: {notes:?}"));
        let scenario = Scenario::parse(&converted.toml, name, &BTreeMap::new()).expect("it is a scenario");
        assert!(explain(&scenario).contains(name));
    }
}

/// As it is installed, where large ones are compressed, or as it is in Tsung's repository.
fn read(folder: &Path, name: &str) -> String {
    let files = [format!("{name}.xml"), format!("{name}.xml.in")].map(|file| folder.join(file));
    let plain = files.iter().find_map(|file| fs::read_to_string(file).ok());
    let unpacked = || {
        let gzip =
            Command::new("gzip").arg("-dc").arg(folder.join(format!("{name}.xml.gz"))).output().ok()?;
        String::from_utf8(gzip.stdout).ok().filter(|text| !text.is_empty())
    };
    plain.or_else(unpacked).unwrap_or_else(|| panic!("{name}.xml is not in {}", folder.display()))
}
