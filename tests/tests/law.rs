//! The law of the workspace: who may depend on whom (docs/architecture.md), and what every source file keeps to.
//! What third-party crates may be built in is deny.toml.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// For each crate of ours: the crates of ours it may name. The binary and the tests may name any.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("xmpp", &[]),
    ("proto", &[]),
    ("discovery-kube", &[]),
    ("store", &["xmpp"]),
    ("features", &["store", "xmpp"]),
    ("node", &["proto", "xmpp"]),
    ("edge", &["node", "proto", "xmpp"]),
    ("router", &["node", "proto", "xmpp"]),
    ("session", &["features", "node", "proto", "store", "xmpp"]),
    ("client", &["xmpp"]),
    ("figures", &[]),
    ("fleet", &["client", "figures", "play", "scenario"]),
    ("play", &["client", "figures", "scenario", "xmpp"]),
    ("report", &["figures", "scenario"]),
    ("rig", &["xmpp"]),
    ("scenario", &[]),
    ("tsung", &["scenario"]),
];
/// What may help a crate's tests beside that: owners are tried with a real router between them.
const TESTS_MAY_DEPEND_ON: &[(&str, &str)] = &[("fleet", "rig"), ("play", "rig"), ("session", "router")];
const MAY_NAME_ANY: &[&str] = &["throng", "throng-bench", "throng-load", "throng-tests"];

/// Crates that take bytes and a time and give events: nothing in them opens, waits or asks what time it is.
const WITHOUT_IO: &[&str] = &["xmpp", "features"];
const IO_CRATES: &[&str] = &["axum", "fjall", "hyper", "rustls", "socket2", "tokio", "tokio-rustls", "tonic"];
const IO_PATHS: &[&str] = &[
    "std::fs",
    "std::process",
    "std::thread",
    "Instant::now(",
    "SystemTime::now(",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
];

/// MPL-2.0: may help a test, never enters the binary.
const TESTS_ONLY: &[&str] = &["jid", "minidom", "tokio-xmpp", "xmpp-parsers", "xso"];

const LINES_MAX: usize = 500;
const GENERATED_MARK: &str = "// @generated";

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    let law: BTreeMap<_, _> = MAY_DEPEND_ON.iter().copied().collect();
    let packages = packages();
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();

    for package in packages.iter().filter(|package| !MAY_NAME_ANY.contains(&package.name.as_str())) {
        let allowed = law.get(package.name.as_str()).unwrap_or_else(|| {
            panic!("{} is not in the law: add it here and to docs/architecture.md", package.name)
        });
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let for_tests = dependency.tests_only && TESTS_MAY_DEPEND_ON.contains(&(&package.name, name));
            assert!(
                !ours.contains(&name) || allowed.contains(&name) || for_tests,
                "{} may not depend on {name}",
                package.name
            );
        }
    }
}

#[test]
fn protocol_crates_have_no_crate_that_does_io() {
    for package in packages().iter().filter(|package| WITHOUT_IO.contains(&package.name.as_str())) {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.tests_only) {
            assert!(
                !IO_CRATES.contains(&dependency.name.as_str()),
                "{} does no I/O: it may not depend on {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn copyleft_crates_stay_in_tests() {
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.tests_only) {
            assert!(
                !TESTS_ONLY.contains(&dependency.name.as_str()),
                "{} may use {} for its tests only",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn protocol_code_does_no_io_and_reads_no_clock() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.is_protocol_code()) {
        let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        offences.extend(code.lines().enumerate().filter_map(|(at, line)| {
            let path = IO_PATHS.iter().find(|path| line.contains(*path))?;
            (!line.trim_start().starts_with("//"))
                .then(|| format!("{}:{}: {path}", source.path.display(), at + 1))
        }));
    }
    assert!(offences.is_empty(), "bytes and a time go in, events come out:\n{}", offences.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut offences = Vec::new();
    for source in sources() {
        let path = source.path.display();
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{path}: {lines} lines, at most {LINES_MAX}"));
        }
        if !source.text.trim_start().starts_with("//!") {
            offences.push(format!("{path}: does not begin with a `//!` line that says what it is"));
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    // In pieces, or this file would be its own offence.
    let marks =
        [concat!("to", "do!("), concat!("un", "implemented!("), concat!("FIX", "ME"), concat!("TO", "DO")];
    let mut offences = Vec::new();
    for source in sources() {
        offences.extend(source.text.lines().enumerate().filter_map(|(at, line)| {
            let mark = marks.iter().find(|mark| line.contains(*mark))?;
            Some(format!("{}:{}: {mark}", source.path.display(), at + 1))
        }));
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    tests_only: bool,
}

/// The packages of the workspace with what their manifests name.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");

    let packages: Vec<Package> = list(&metadata["packages"]).iter().map(package).collect();
    assert!(packages.len() > MAY_DEPEND_ON.len(), "the law is about crates that exist");
    packages
}

fn package(value: &Value) -> Package {
    let dependency =
        |value: &Value| Dependency { name: text(&value["name"]), tests_only: value["kind"] == "dev" };
    Package {
        name: text(&value["name"]),
        dependencies: list(&value["dependencies"]).iter().map(dependency).collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list, as `cargo help metadata` has it")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string, as `cargo help metadata` has it").to_owned()
}

struct Source {
    /// From the root of the workspace.
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_protocol_code(&self) -> bool {
        let named_tests = self.path.file_stem().is_some_and(|stem| stem == "tests")
            || self.path.components().any(|part| part.as_os_str() == "tests");
        !named_tests && WITHOUT_IO.iter().any(|name| self.path.starts_with(format!("crates/{name}/src")))
    }
}

/// Every source file a person wrote.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["benches", "crates", "services", "tests"] {
        gather(&root().join(folder), &mut found);
    }
    assert!(found.len() > MAY_DEPEND_ON.len(), "the law is about files that exist");
    found
}

fn gather(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            gather(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source in UTF-8");
            if !text.starts_with(GENERATED_MARK) {
                let path = path.strip_prefix(root()).expect("below the root").to_path_buf();
                found.push(Source { path, text });
            }
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the workspace").to_path_buf()
}
