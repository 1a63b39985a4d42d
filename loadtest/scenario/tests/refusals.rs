//! What is wrong with a file is said all at once, each with its line, what was found and what was expected.

use std::collections::BTreeMap;
use std::fs;

use scenario::Scenario;

/// A scenario in which nothing is wrong.
const GOOD: &str = r#"name = "talk"
about = "Two who talk"
[parameters]
users = 2
rate = "$users * 5"
[accounts]
count = "$users"
[[phase]]
name = "steady"
for = "10s"
arrive.burst = "$users"
[[population]]
name = "pairs"
script = [
  { until = "steady" },
  { repeat = { times = 3, pace.every = "~1s", steps = [{ chat = { text = "{username} {things.colour}" } }] } },
]
[data.things]
columns = ["colour", "size"]
rows = [["red", "1"], ["blue", "2"]]
[[goal]]
of = "chat"
below = "1s"
"#;

/// What is wrong once `old` stands as `new`.
fn problems(old: &str, new: &str) -> Vec<String> {
    assert!(GOOD.contains(old), "{old:?} is in the scenario");
    let text = GOOD.replace(old, new);
    let result = Scenario::parse(&text, "talk.toml", &BTreeMap::new());
    result.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_wrong_with_it() {
    assert_eq!(problems("talk", "talk"), Vec::<String>::new());
}

#[test]
fn shapes() {
    for (old, new, problem) in [
        ("about =", "abuot =", "talk.toml:2: abuot: found the key `abuot`, expected perhaps `about`"),
        (
            "for = \"10s\"",
            "for = \"10 parsecs\"",
            "talk.toml:10: phase[0].for: found \"10 parsecs\", expected a time such as 500ms, 10s, 1.5m, 2h",
        ),
        (
            "{ chat =",
            "{ chta =",
            "talk.toml:16: population[0].script[1].repeat.steps[0]: found `chta`, expected perhaps `chat`",
        ),
        (
            "times = 3",
            "times = 2.5",
            "talk.toml:16: population[0].script[1].repeat.times: found 2.5, expected a whole number, 0 or more",
        ),
        (
            "times = 3",
            "times = -1",
            "talk.toml:16: population[0].script[1].repeat.times: found -1, expected a whole number, 0 or more",
        ),
        (
            "\"$users\"\n[[phase]]",
            "\"$user\"\n[[phase]]",
            "talk.toml:7: accounts.count: found \"$user\", expected a parameter instead of `$user`: perhaps `users`",
        ),
        ("[accounts]", "[accounts", "talk.toml:6: found no TOML, expected unclosed table, expected `]`"),
    ] {
        let found = problems(old, new);
        assert!(found.iter().any(|it| it == problem), "{problem}\nis not in\n{}", found.join("\n"));
    }
    let missing = problems("count = \"$users\"", "");
    assert_eq!(
        missing,
        [
            "talk.toml:6: accounts.count: found nothing, expected a whole number, 0 or more (How many there are)"
        ]
    );
}

#[test]
fn what_only_the_whole_tells() {
    for (old, new, problem) in [
        (
            "until = \"steady\"",
            "until = \"stedy\"",
            ":15: population[0].script[0].until: found `stedy`, expected perhaps `steady`",
        ),
        (
            "users = 2",
            "users = 3",
            ":12: population[0].partner: found pairs among 3 accounts, expected an even count of accounts",
        ),
        (
            "{username}",
            "{usrname}",
            ":16: population[0].script[1].repeat.steps[0].chat.text: found {usrname}, expected perhaps `username`",
        ),
        (
            "{things.colour}",
            "{things.color}",
            ":16: population[0].script[1].repeat.steps[0].chat.text: found {things.color}, expected perhaps `colour`",
        ),
        (
            "of = \"chat\"",
            "of = \"receipt\"",
            ":22: goal[0].of: found `receipt`, expected one of auth, bind, chat, connect, login, tls",
        ),
        (
            "below = \"1s\"",
            "below = \"1s\"\nrate-at-least = 5",
            ":21: goal[0]: found below and rate-at-least, expected exactly one of below, rate-at-least, failures-at-most, cpu-at-most",
        ),
        ("below =", "percentile = 101\nbelow =", ":23: goal[0].percentile: found 101, expected 0 to 100"),
        (
            "[[population]]",
            "[[population]]\nweight = -1",
            ":13: population[0].weight: found -1, expected 0 or more",
        ),
        (
            "[\"blue\", \"2\"]",
            "[\"blue\"]",
            ":20: data.things.rows[1]: found 1 values, expected 2: colour, size",
        ),
        (
            "\"steady\"\nfor",
            "\"end\"\nfor",
            ":9: phase[0].name: found `end` again, expected a name that no other has",
        ),
        (
            "times = 3, pace.every = \"~1s\", steps = [{ chat = { text = \"{username} {things.colour}\" } }]",
            "steps = [{ presence = {} }]",
            ":16: population[0].script[1].repeat: found rounds without an end that take no time, expected a `pace`, a `think`, or a step that is answered",
        ),
    ] {
        let found = problems(old, new);
        assert!(found.contains(&format!("talk.toml{problem}")), "{problem}\nis not in\n{}", found.join("\n"));
    }
}

#[test]
fn accounts_of_a_table_are_as_many_as_its_rows() {
    let from_table = |count: u32| format!("count = {count}\nusername = \"{{things.colour}}\"");
    assert_eq!(problems("count = \"$users\"", &from_table(2)), Vec::<String>::new());
    let found = problems("count = \"$users\"", &from_table(4));
    assert_eq!(found, ["talk.toml:7: accounts.count: found 4, expected at most 2, the rows of `things`"]);
}

/// A file that is cut anywhere, or has lost a line, is refused or read: nothing panics.
#[test]
fn broken_files_are_refused() {
    for at in (0..GOOD.len()).filter(|at| GOOD.is_char_boundary(*at)) {
        let _ = Scenario::parse(&GOOD[..at], "talk.toml", &BTreeMap::new());
        let without = format!("{}{}", &GOOD[..at], &GOOD[GOOD.ceil_char_boundary(at + 3)..]);
        let _ = Scenario::parse(&without, "talk.toml", &BTreeMap::new());
    }
    let lines: Vec<&str> = GOOD.lines().collect();
    let refused = (0..lines.len()).filter(|at| {
        let rest: Vec<&str> =
            lines.iter().enumerate().filter(|(line, _)| line != at).map(|(_, line)| *line).collect();
        Scenario::parse(&rest.join("\n"), "talk.toml", &BTreeMap::new()).is_err()
    });
    assert!(refused.count() > lines.len() / 2, "most lines are needed");
}

#[test]
fn all_that_is_wrong_comes_out_together() {
    let text = GOOD.replace("about", "abuot").replace("~1s", "~1").replace("below", "belwo");
    let problems = Scenario::parse(&text, "talk.toml", &BTreeMap::new()).unwrap_err();
    let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
    // The key that is missing stands where its table begins.
    assert_eq!(lines, [1, 2, 16, 23]);
}

#[test]
fn overrides_are_values_of_parameters() {
    let read =
        |name: &str, value| Scenario::parse(GOOD, "talk.toml", &BTreeMap::from([(name.to_owned(), value)]));
    let scenario = read("users", 10.0).unwrap();
    assert_eq!((scenario.accounts.count, scenario.parameters["rate"]), (10, 50.0));
    let problem = read("user", 10.0).unwrap_err().remove(0);
    assert_eq!(problem.expected, "a parameter: perhaps `users`");
}

#[test]
fn tables_are_read_from_beside_the_scenario() {
    let folder = std::env::temp_dir().join(format!("scenario-tables-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let text = GOOD
        .replace("columns = [\"colour\", \"size\"]", "file = \"things.csv\"\ndelimiter = \";\"")
        .replace("rows = [[\"red\", \"1\"], [\"blue\", \"2\"]]\n", "");
    let file = folder.join("talk.toml");
    fs::write(&file, text).unwrap();

    let missing = Scenario::read(&file, &BTreeMap::new()).unwrap_err();
    assert_eq!((missing.len(), missing[0].key.as_str()), (1, "data.things.file"));

    fs::write(folder.join("things.csv"), "colour;size\nred;1\nblue;2\n").unwrap();
    let scenario = Scenario::read(&file, &BTreeMap::new()).unwrap();
    assert_eq!(scenario.data["things"].rows, [["red", "1"], ["blue", "2"]]);

    fs::write(folder.join("things.csv"), "size\n1\n").unwrap();
    let wrong = Scenario::read(&file, &BTreeMap::new()).unwrap_err();
    assert_eq!(wrong[0].found, "{things.colour}");
    fs::remove_dir_all(&folder).unwrap();
}
