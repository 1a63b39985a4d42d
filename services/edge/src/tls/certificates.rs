//! Certificates as they lie on disk, by the names they are for.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hashbrown::HashMap;
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate, time::ASN1Time};

use crate::{Error, config};

/// A certificate in use.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// `tls-server-end-point`, if it is defined for this certificate.
    pub(super) end_point: Option<Vec<u8>>,
    ends: ASN1Time,
}

/// All certificates; never empty.
#[derive(Debug)]
pub(super) struct Certificates {
    first: Arc<Certificate>,
    /// By lower-case DNS name; of a wildcard, what follows the `*`.
    names: HashMap<String, Arc<Certificate>>,
    /// In the order of their files.
    files: Vec<(PathBuf, Arc<Certificate>)>,
}

impl Certificates {
    /// `None`: none are configured.
    pub(super) fn load(files: &[config::Certificate]) -> Result<Option<Self>, Error> {
        let mut all: Option<Self> = None;
        for file in files {
            let (certificate, names) = read(&file.chain, &file.key)?;
            let certificate = Arc::new(certificate);
            let all = all.get_or_insert_with(|| Self {
                first: Arc::clone(&certificate),
                names: HashMap::new(),
                files: Vec::new(),
            });
            all.files.push((file.chain.clone(), Arc::clone(&certificate)));
            for name in names {
                all.names.entry(name).or_insert_with(|| Arc::clone(&certificate));
            }
        }
        Ok(all)
    }

    /// The file of one that has expired, where there was one `before` that has not.
    pub(super) fn expired_instead_of(&self, before: &Self) -> Option<&Path> {
        let now = ASN1Time::now();
        let has_expired = |(_, certificate): &(PathBuf, Arc<Certificate>)| certificate.ends < now;
        let mut both = self.files.iter().zip(&before.files);
        both.find(|(new, old)| has_expired(new) && !has_expired(old)).map(|((path, _), _)| path.as_path())
    }

    /// The one for a server name; else the first.
    pub(super) fn of(&self, server_name: Option<&str>) -> &Certificate {
        let find = |name: &str| {
            let name = name.to_ascii_lowercase();
            let parent = name.find('.').map(|dot| &name[dot..]);
            self.names.get(&name).or_else(|| self.names.get(parent?))
        };
        server_name.and_then(find).unwrap_or(&self.first)
    }
}

fn read(chain_path: &Path, key_path: &Path) -> Result<(Certificate, Vec<String>), Error> {
    let wrong = |path: &Path, why: &dyn std::fmt::Display| Error::Certificate {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let bytes = |path: &Path| fs::read(path).map_err(|error| wrong(path, &error));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes(chain_path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(chain_path, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(key_path)?).map_err(|error| wrong(key_path, &error))?;
    let leaf = chain.first().ok_or_else(|| wrong(chain_path, &"no certificate"))?.clone();
    let (_, parsed) =
        x509_parser::parse_x509_certificate(&leaf).map_err(|error| wrong(chain_path, &error))?;
    let names = dns_names(&parsed);
    let end_point = end_point(&parsed, &leaf);
    let ends = parsed.validity().not_after;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| wrong(key_path, &error))?;
    Ok((Certificate { key: Arc::new(key), end_point, ends }, names))
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

/// RFC 5929 §4.1: the hash of the certificate by the hash of its signature, SHA-256 instead of MD5 and SHA-1;
/// undefined for signatures without a hash of their own.
fn end_point(certificate: &X509Certificate<'_>, der: &[u8]) -> Option<Vec<u8>> {
    match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        // With MD5, SHA-1 and SHA-256, RSA and ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.10045.4.1"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(der).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(der).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(names: &[&[&str]]) -> (tempfile::TempDir, Certificates) {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, names)| {
                let made = rcgen::generate_simple_self_signed(
                    names.iter().map(ToString::to_string).collect::<Vec<_>>(),
                );
                let made = made.unwrap();
                let file = config::Certificate {
                    chain: dir.path().join(format!("{n}.pem")),
                    key: dir.path().join(format!("{n}.key")),
                };
                fs::write(&file.chain, made.cert.pem()).unwrap();
                fs::write(&file.key, made.signing_key.serialize_pem()).unwrap();
                file
            })
            .collect();
        (dir, Certificates::load(&files).unwrap().unwrap())
    }

    #[test]
    fn the_server_name_chooses_the_certificate() {
        let (_dir, all) = certificates(&[&["a.example"], &["b.example", "*.c.example"]]);
        let same =
            |left: Option<&str>, right: Option<&str>| Arc::ptr_eq(&all.of(left).key, &all.of(right).key);
        assert!(same(None, Some("a.example")));
        assert!(same(Some("unknown.example"), Some("a.example")));
        assert!(!same(Some("B.example"), Some("a.example")));
        assert!(same(Some("chat.c.example"), Some("b.example")));
        assert!(!same(Some("deep.chat.c.example"), Some("b.example")), "a wildcard is one label");
    }

    #[test]
    fn the_end_point_is_the_hash_of_the_leaf() {
        let (_dir, all) = certificates(&[&["a.example"]]);
        let certificate = all.of(None);
        let leaf = certificate.key.cert.first().unwrap();
        assert_eq!(certificate.end_point.as_deref(), Some(&Sha256::digest(leaf)[..]));
    }
}
