//! Authorities and certificates: what clients of a server trust, and what its roles believe of each other.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Years in which a certificate is valid now.
pub const VALID: (i32, i32) = (2020, 4000);
/// Years that are over.
pub const EXPIRED: (i32, i32) = (2020, 2021);

/// An authority of one server's own.
pub struct Authority {
    /// Its certificate, PEM.
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and what belongs to it, PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate, then its authority.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one, called so.
    ///
    /// # Errors
    /// There is no key to be had.
    pub fn new(name: &str) -> anyhow::Result<Authority> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = params.self_signed(&key)?;
        Ok(Authority { pem: authority.pem(), der: authority.der().clone(), issuer: Issuer::new(params, key) })
    }

    /// What those trust who trust it.
    ///
    /// # Errors
    /// It cannot be trusted.
    pub fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        Ok(roots)
    }

    /// A new certificate for these names, valid from the beginning of one year to that of another.
    ///
    /// # Errors
    /// There is none for such names.
    pub fn certify(&self, names: &[&str], years: (i32, i32)) -> anyhow::Result<Certified> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Certified { chain: certificate.pem() + &self.pem, key: key.serialize_pem() })
    }
}

impl Certified {
    /// Writes both where a server looks for them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, folder: &Path, chain: &str, key: &str) -> anyhow::Result<()> {
        fs::write(folder.join(chain), &self.chain)?;
        Ok(fs::write(folder.join(key), &self.key)?)
    }
}
