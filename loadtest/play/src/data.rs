//! Tables of values, from which sessions take rows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;
use scenario::DataFile;

use crate::Part;

/// All tables of a scenario, by number.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    tables: Vec<Table>,
    /// Rows in turn are all workers': each takes its own.
    worker: Part,
}

#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    shuffled: bool,
    next: AtomicUsize,
}

impl Tables {
    pub(crate) fn new(data: &BTreeMap<String, DataFile>, worker: Part) -> Self {
        let table = |(name, data): (&String, &DataFile)| Table {
            name: name.clone(),
            columns: data.columns.clone(),
            rows: data.rows.clone(),
            shuffled: data.shuffled,
            next: AtomicUsize::new(0),
        };
        Self { tables: data.iter().map(table).collect(), worker }
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }

    /// All columns, as `table.column`, with the numbers of both.
    pub(crate) fn columns(&self) -> BTreeMap<String, (u16, u16)> {
        let tables = self.tables.iter().enumerate();
        tables
            .flat_map(|(table, of)| {
                of.columns.iter().enumerate().map(move |(column, name)| (table, of, column, name))
            })
            .map(|(table, of, column, name)| (format!("{}.{name}", of.name), (table as u16, column as u16)))
            .collect()
    }

    /// The number of the next row, in turn over all sessions, or by chance.
    pub(crate) fn next_row(&self, table: usize, random: &mut impl Rng) -> usize {
        let Some(table) = self.tables.get(table) else { return 0 };
        let rows = table.rows.len().max(1);
        if table.shuffled {
            random.random_range(0..rows)
        } else {
            let turn = table.next.fetch_add(1, Ordering::Relaxed);
            (turn * self.worker.of as usize + self.worker.index as usize) % rows
        }
    }

    /// A value; rows begin again after the last.
    pub(crate) fn value(&self, table: u16, column: u16, row: usize) -> &str {
        let find = || {
            let rows = &self.tables.get(usize::from(table))?.rows;
            rows.get(row % rows.len().max(1))?.get(usize::from(column))
        };
        find().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn tables(shuffled: bool, worker: Part) -> Tables {
        let data = DataFile {
            file: None,
            delimiter: ',',
            columns: vec!["name".to_owned(), "colour".to_owned()],
            rows: ["a", "b", "c"].iter().map(|name| vec![(*name).to_owned(), format!("{name}!")]).collect(),
            shuffled,
        };
        Tables::new(&BTreeMap::from([("things".to_owned(), data)]), worker)
    }

    #[test]
    fn rows_are_taken_in_turn() {
        let (tables, mut random) = (tables(false, Part::WHOLE), SmallRng::seed_from_u64(1));
        let (table, column) = tables.columns()["things.colour"];
        let mut take = || {
            let row = tables.next_row(usize::from(table), &mut random);
            tables.value(table, column, row).to_owned()
        };
        assert_eq!([take(), take(), take(), take()], ["a!", "b!", "c!", "a!"]);
    }

    #[test]
    fn each_worker_takes_its_own_rows() {
        let mut random = SmallRng::seed_from_u64(1);
        let tables = tables(false, Part { index: 1, of: 2 });
        assert_eq!([tables.next_row(0, &mut random), tables.next_row(0, &mut random)], [1, 0]);
    }

    #[test]
    fn rows_are_taken_by_chance() {
        let (tables, mut random) = (tables(true, Part::WHOLE), SmallRng::seed_from_u64(1));
        let rows: Vec<usize> = (0..30).map(|_| tables.next_row(0, &mut random)).collect();
        assert!((0..3).all(|row| rows.contains(&row)) && !rows.is_sorted());
    }
}
