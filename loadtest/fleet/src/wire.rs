//! What travels: `proto/fleet.proto` compiled, large things in pieces, and a worker's share as the engine's options.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use client::Tls;
use figures::{Book, Record, Source};
use play::{Options, Part};
use prost::Message;
use scenario::Scenario;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code; the .proto file carries the documentation"
)]
mod generated {
    tonic::include_proto!("fleet.v1");
}

pub(crate) use generated::*;

/// Of this form of talk; only equals understand each other.
pub(crate) const FORM: u32 = 1;
/// Of the harness: scenarios and records have forms of their own that may change with it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// One piece of something large.
const PIECE_BYTES: usize = 1024 * 1024;
/// The largest thing that is put together from pieces: a scenario with its tables, a worker's ledger.
const PARCEL_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Why something that came cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

/// Cuts something large; there is at least one piece.
pub(crate) fn pieces(large: &impl Message) -> Vec<Piece> {
    let bytes = large.encode_to_vec();
    let mut pieces: Vec<Piece> =
        bytes.chunks(PIECE_BYTES).map(|part| Piece { bytes: part.to_vec(), last: false }).collect();
    match pieces.last_mut() {
        Some(piece) => piece.last = true,
        None => pieces.push(Piece { bytes: Vec::new(), last: true }),
    }
    pieces
}

/// Pieces that have come so far.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    bytes: Vec<u8>,
}

impl Parcel {
    /// Takes the next piece; with the last one, the whole.
    pub(crate) fn add<M: Message + Default>(&mut self, piece: &Piece) -> Result<Option<M>, Unreadable> {
        if self.bytes.len() + piece.bytes.len() > PARCEL_BYTES_MAX {
            return Err(Unreadable(format!("more than {PARCEL_BYTES_MAX} bytes")));
        }
        self.bytes.extend_from_slice(&piece.bytes);
        if !piece.last {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.bytes);
        M::decode(bytes.as_slice()).map(Some).map_err(|error| Unreadable(error.to_string()))
    }
}

impl Share {
    /// What one of several workers gets. What is done to the server, and watched of it, is the first one's alone.
    pub(crate) fn new(
        scenario: &Scenario,
        options: &Options,
        authorities: Option<&[u8]>,
        Part { index, of }: Part,
    ) -> Result<Self, serde_json::Error> {
        let first = index == 0;
        let endpoints = options.endpoints.iter().map(|endpoint| Endpoint {
            address: endpoint.address.to_string(),
            path: endpoint.path.as_deref().map(str::to_owned),
        });
        let watch = options.watch.iter().map(|(name, source)| (name.clone(), written(source)));
        Ok(Self {
            index,
            of,
            scenario_json: serde_json::to_vec(scenario)?,
            endpoints: endpoints.collect(),
            target: options.target.clone(),
            domain: options.domain.clone(),
            authorities: authorities.map(<[u8]>::to_vec),
            sources: dealt(&options.sources, index, of).iter().map(ToString::to_string).collect(),
            watch: watch.filter(|_| first).collect(),
            metrics: options.metrics.clone().filter(|_| first),
            hooks: options.hooks.clone().into_iter().collect(),
            seed: options.seed,
            run: options.run,
        })
    }

    pub(crate) fn scenario(&self) -> Result<Scenario, Unreadable> {
        serde_json::from_slice(&self.scenario_json).map_err(|error| Unreadable(format!("scenario: {error}")))
    }

    /// What the engine is told, but for the start. `stop` stops it.
    pub(crate) fn options(&self, stop: Arc<AtomicBool>) -> Result<Options, Unreadable> {
        fn read<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Unreadable> {
            text.parse().map_err(|error| Unreadable(format!("{text}: {error}")))
        }
        let endpoint = |endpoint: &Endpoint| {
            let path = endpoint.path.as_deref().map(Into::into);
            Ok(play::Endpoint { address: read(&endpoint.address)?, path })
        };
        let watch = self.watch.iter().map(|(name, source)| Ok((name.clone(), read(source)?)));
        let tls = match &self.authorities {
            Some(pem) => Tls::trusting(pem),
            None => Tls::insecure(),
        };
        if self.index >= self.of {
            return Err(Unreadable(format!("worker {} of {}", self.index, self.of)));
        }
        Ok(Options {
            endpoints: self.endpoints.iter().map(endpoint).collect::<Result<_, Unreadable>>()?,
            target: self.target.clone(),
            domain: self.domain.clone(),
            tls: tls.map_err(|error| Unreadable(format!("authorities: {error}")))?,
            sources: self.sources.iter().map(|source| read(source)).collect::<Result<_, _>>()?,
            watch: watch.collect::<Result<BTreeMap<String, Source>, Unreadable>>()?,
            metrics: self.metrics.clone(),
            hooks: self.hooks.clone().into_iter().collect(),
            seed: self.seed,
            worker: Part { index: self.index, of: self.of },
            run: self.run,
            start: None,
            stop,
            others: None,
        })
    }
}

/// A worker's part of what is dealt out; where there is less than one for each, some get the same.
fn dealt<T: Copy>(all: &[T], index: u64, of: u64) -> Vec<T> {
    let own = all.iter().zip((0..of).cycle()).filter(|(_, turn)| *turn == index).map(|(&one, _)| one);
    let own: Vec<T> = own.collect();
    if own.is_empty() && !all.is_empty() { vec![all[index as usize % all.len()]] } else { own }
}

fn written(source: &Source) -> String {
    match source {
        Source::Processes(numbers) => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        Source::Prometheus(url) => url.clone(),
    }
}

impl Played {
    pub(crate) fn of(played: &play::Played) -> Result<Self, serde_json::Error> {
        let record_json = serde_json::to_vec(&played.record)?;
        Ok(Self { record_json, book: played.book.to_bytes(), aborted: played.aborted })
    }

    pub(crate) fn read(self) -> Result<play::Played, Unreadable> {
        let record: Record = serde_json::from_slice(&self.record_json)
            .map_err(|error| Unreadable(format!("record: {error}")))?;
        let book = Book::from_bytes(&self.book).map_err(|error| Unreadable(error.to_string()))?;
        Ok(play::Played { record, book, aborted: self.aborted })
    }
}

impl From<from_worker::Kind> for FromWorker {
    fn from(kind: from_worker::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl From<to_worker::Kind> for ToWorker {
    fn from(kind: to_worker::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_is_whole_again() {
        let large = Played { record_json: vec![7; 3 * PIECE_BYTES + 1], book: vec![1], aborted: true };
        let (mut parcel, pieces) = (Parcel::default(), pieces(&large));
        assert_eq!(pieces.len(), 4);
        for piece in &pieces[..3] {
            assert_eq!(parcel.add::<Played>(piece).unwrap(), None);
        }
        assert_eq!(parcel.add(&pieces[3]).unwrap(), Some(large));
    }

    #[test]
    fn nothing_is_a_piece_as_well_and_nonsense_is_an_error() {
        let none = pieces(&Ready {});
        assert_eq!(Parcel::default().add(&none[0]).unwrap(), Some(Ready {}));
        let nonsense = Piece { bytes: vec![0xFF; 9], last: true };
        assert!(Parcel::default().add::<Played>(&nonsense).is_err());
    }

    #[test]
    fn sources_are_dealt_out_so_that_nobody_has_none() {
        assert_eq!(dealt(&[1, 2, 3, 4, 5], 1, 2), [2, 4]);
        assert_eq!(dealt(&[1, 2], 2, 3), [1]);
        assert!(dealt::<u8>(&[], 0, 2).is_empty());
    }

    #[test]
    fn what_is_watched_reads_as_it_was_written() {
        for text in ["17,18", "http://127.0.0.1:9100/metrics"] {
            assert_eq!(written(&text.parse().unwrap()), text);
        }
    }

    #[test]
    fn every_named_scenario_travels_unchanged() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut read = 0;
        for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "toml")) {
            let scenario = Scenario::read(&file, &BTreeMap::new()).unwrap();
            let share = Share { scenario_json: serde_json::to_vec(&scenario).unwrap(), ..Share::default() };
            assert_eq!(share.scenario().unwrap(), scenario, "{}", file.display());
            read += 1;
        }
        assert!(read > 10, "{read}");
    }
}
