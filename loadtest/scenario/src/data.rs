//! Tables of values, from files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::DataFile;
use crate::source::{Place, Source};

/// A table is kept in memory.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Fills in the tables that are in files.
pub(crate) fn load(tables: &mut BTreeMap<String, DataFile>, folder: &Path, source: &mut Source<'_>) {
    for (name, table) in tables {
        let place = Place::default().key("data").key(name).key("file");
        let Some(file) = &table.file else { continue };
        let path = folder.join(file);
        let too_large = fs::metadata(&path).is_ok_and(|about| about.len() > FILE_BYTES_MAX);
        match fs::read_to_string(&path) {
            _ if too_large => {
                source.refuse(&place, "a larger file", format!("at most {FILE_BYTES_MAX} bytes"));
            }
            Ok(text) => fill(table, &text, &place, source),
            Err(error) => {
                source.refuse(&place, format!("{} ({error})", path.display()), "a file with a table");
            }
        }
    }
}

fn fill(table: &mut DataFile, text: &str, place: &Place, source: &mut Source<'_>) {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    if table.columns.is_empty() {
        table.columns = lines.next().map(|(_, line)| cells(line, table.delimiter)).unwrap_or_default();
    }
    for (at, line) in lines {
        let row = cells(line, table.delimiter);
        if row.len() == table.columns.len() {
            table.rows.push(row);
        } else {
            let expected = format!("{}: {}", table.columns.len(), table.columns.join(", "));
            source.refuse(place, format!("{} values in its line {}", row.len(), at + 1), expected);
            return;
        }
    }
    if table.rows.is_empty() {
        source.refuse(place, "a table without rows", "at least one row below the names of the columns");
    }
}

/// A line's values; one in double quotes may have the delimiter in it, and doubled quotes (RFC 4180).
fn cells(line: &str, delimiter: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let cell = cells.len() - 1;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cells[cell].push('"');
            }
            '"' if quoted || cells[cell].trim().is_empty() => quoted = !quoted,
            _ if letter == delimiter && !quoted => cells.push(String::new()),
            _ => cells[cell].push(letter),
        }
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hide_delimiters() {
        assert_eq!(cells(" alice , secret", ','), ["alice", "secret"]);
        assert_eq!(cells(r#""a;b";"say ""hi""";"#, ';'), ["a;b", r#"say "hi""#, ""]);
    }
}
