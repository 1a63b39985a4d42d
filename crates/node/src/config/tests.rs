//! Bad files and the sentences they earn; good ones and the values they give.

use std::path::Path;

use serde::Deserialize;

use super::*;

const SECTIONS: &[Section] = &[
    Section {
        name: "log",
        doc: "What is told.",
        options: &[
            Opt::choice("level", "info", &["error", "info", "debug"], "How much."),
            Opt::flag("json", false, "One object a line."),
        ],
    },
    Section {
        name: "edge",
        doc: "Clients.",
        options: &[
            Opt::text("listen", "[::]:5222", "an address and a port", "For clients."),
            Opt::number("stanza_bytes_max", 262_144, (1_000, 1_000_000), "bytes", "Of one stanza."),
            Opt::texts("owners", &["http://a"], "a URL", "Who owns."),
            Opt::text("page", "", "a folder", "Served to browsers."),
            Opt::tables(
                "certificates",
                &[Opt::text("domain", "", "a domain", "Whose."), Opt::text("key", "", "a file", "The key.")],
                "One a domain.",
            ),
        ],
    },
];

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default)]
struct Edge {
    listen: std::net::SocketAddr,
    stanza_bytes_max: usize,
    owners: Vec<String>,
    page: Option<String>,
    certificates: Vec<Certificate>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Certificate {
    domain: String,
    key: String,
}

impl Default for Edge {
    fn default() -> Self {
        let listen = ([0, 0, 0, 0], 1).into();
        Self { listen, stanza_bytes_max: 1, owners: Vec::new(), page: None, certificates: Vec::new() }
    }
}

#[test]
fn every_mistake_is_told_with_its_line_its_key_what_was_found_and_what_is_expected() {
    for (text, message) in [
        (
            "[log]\nlevel = ",
            "throng.toml:2: the file: found string values must be quoted, expected literal string",
        ),
        (
            "[lug]",
            "throng.toml:1: lug: found an unknown section, expected a known section; did you mean `log`?",
        ),
        ("log = 1", "throng.toml:1: log: found a value, expected a section, [log]"),
        (
            "[log]\n\nlevle = \"info\"",
            "throng.toml:3: log.levle: found an unknown key, expected a known key; did you mean `level`?",
        ),
        (
            "[log]\nsomething = 1",
            "throng.toml:2: log.something: found an unknown key, expected one of level, json",
        ),
        (
            "[log]\nlevel = \"loud\"",
            "throng.toml:2: log.level: found \"loud\", expected one of error, info, debug",
        ),
        ("[log]\njson = \"yes\"", "throng.toml:2: log.json: found \"yes\", expected true or false"),
        (
            "[edge]\nstanza_bytes_max = 12",
            "throng.toml:2: edge.stanza_bytes_max: found 12, expected a whole number of bytes from 1000 to 1000000",
        ),
        (
            "[edge]\nowners = [\"a\", 1]",
            "throng.toml:2: edge.owners: found [\"a\", 1], expected a list in brackets, each of it a URL in quotes",
        ),
        (
            "[[edge.certificates]]\ndomain = \"a\"\n[[edge.certificates]]\ndomian = \"b\"",
            "throng.toml:4: edge.certificates.domian: found an unknown key, expected a known key; did you mean `domain`?",
        ),
    ] {
        let problems = Settings::new(SECTIONS).read(Path::new("throng.toml"), text).unwrap_err();

        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with(message), "{text}\n{told:?}\n{message}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "[log]\nlevel = \"loud\"\njson = 1\n[edge]\nx = 2\n";

    let problems = Settings::new(SECTIONS).read(Path::new("f"), text).unwrap_err();

    let mut lines: Vec<_> = problems.into_iter().map(|problem| problem.origin.to_string()).collect();
    lines.sort();
    assert_eq!(lines, ["f:2", "f:3", "f:5"]);
}

#[test]
fn what_a_type_refuses_is_told_where_it_stands() {
    let mut settings = Settings::new(SECTIONS);
    settings.read(Path::new("f"), "[edge]\n\nlisten = \"here\"").unwrap();

    let problem = settings.section::<Edge>("edge").unwrap_err();

    let told = "f:3: edge.listen: found \"here\" (invalid socket address syntax), expected an address and a port, in quotes";
    assert_eq!(problem.to_string(), told);
}

#[test]
fn the_environment_goes_before_the_file() {
    let variables = [
        ("THRONG_EDGE_OWNERS", "http://b, http://c"),
        ("THRONG_EDGE_STANZA_BYTES_MAX", "2_000"),
        ("THRONG_EDGE_PAGE", ""),
        ("THRONG_CONFIG", "elsewhere.toml"),
        ("THRONG_SERVICE_HOST", "10.0.0.1"),
        ("THRONG_EDGE_PORT_5222_TCP", "tcp://10.0.0.1:5222"),
        ("HOME", "/"),
    ];
    let mut settings = Settings::new(SECTIONS);
    settings
        .read(
            Path::new("f"),
            "[edge]\npage = 'p'\nstanza_bytes_max = 3_000\ncertificates = [{domain = 'a', key = 'k'}]",
        )
        .unwrap();
    settings.overlay(variables.map(|(name, value)| (name.into(), value.into())).into_iter()).unwrap();

    let edge: Edge = settings.section("edge").unwrap();

    assert_eq!(edge.stanza_bytes_max, 2_000);
    assert_eq!(edge.owners, ["http://b", "http://c"]);
    assert_eq!(edge.listen.port(), 5222);
    assert_eq!(edge.page, None);
    assert_eq!(edge.certificates, [Certificate { domain: "a".into(), key: "k".into() }]);
}

#[test]
fn a_bad_variable_is_told_by_its_name() {
    for (name, value, message) in [
        (
            "THRONG_LOG_LEVLE",
            "info",
            "environment variable THRONG_LOG_LEVLE: log_levle: found an unknown option, expected a known section_key; \
             did you mean `log_level`?",
        ),
        (
            "THRONG_LOG_JSON",
            "yes",
            "environment variable THRONG_LOG_JSON: log.json: found \"yes\", expected true or false",
        ),
    ] {
        let variables = [(name.to_owned(), value.to_owned())].into_iter();

        let problems = Settings::new(SECTIONS).overlay(variables).unwrap_err();

        assert_eq!(problems[0].to_string(), message);
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    let mut settings = Settings::new(SECTIONS);
    settings.set("--dev", "edge.listen", "127.0.0.1:1");

    let effective = settings.effective_file();
    let default = settings.default_file();
    let uncommented = default
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
    let uncommented = uncommented.collect::<Vec<_>>().join("\n");

    assert!(effective.contains("listen = \"127.0.0.1:1\" # argument --dev"), "{effective}");
    for text in [effective, uncommented] {
        let mut again = Settings::new(SECTIONS);
        again.read(Path::new("f"), &text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert_eq!(again.value("log.level"), settings.value("log.level"));
    }
    assert!(settings.reference().contains("| `stanza_bytes_max` | `262144` |"), "{}", settings.reference());
}
