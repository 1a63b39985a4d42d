//! Certificates of one's own making, where nobody has given any: an authority in the data folder, and under it a
//! certificate for the domains served. Clients that are told to trust the authority see nothing unusual. And those
//! with which the roles of a cluster prove to each other who they are.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use edge::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use xmpp::jid::Jid;

/// What the authorities are called.
const OWN: &str = "Throng's own authority";
const CLUSTER: &str = "Throng's cluster authority";

const DAY: Duration = Duration::from_hours(24);

/// How long the authority is valid, in days.
const AUTHORITY_DAYS: u32 = 3_650;

/// How long a certificate is valid, in days: browsers believe none that is valid for longer than 398.
const CERTIFICATE_DAYS: u32 = 397;

/// A certificate with fewer days left is replaced at the start.
const LEFT_DAYS_MIN: u32 = 30;

/// A certificate and the authority it is of.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) certificate: Certificate,
    /// What clients have to trust.
    pub(crate) authority: PathBuf,
}

/// The certificate for these domains; made if there is none, or if it is for others or about to expire.
pub(crate) fn own(data: &Path, domains: &[Jid]) -> anyhow::Result<Own> {
    let folder = data.join("tls");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Edges on one machine may start together on one folder.
    let lock = fs::File::create(folder.join("lock"))?;
    lock.lock()?;
    let authority = folder.join("ca.pem");
    let certificate = Certificate { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    let issuer = if let Some(issuer) = read_authority(&folder, OWN) {
        issuer
    } else {
        // Certificates of another authority would not be trusted.
        let _ = fs::remove_file(&certificate.chain);
        make_authority(&folder, OWN)?
    };
    let names: Vec<String> = domains.iter().map(|domain| domain.domain().to_owned()).collect();
    if !still_good(&certificate.chain, &names) {
        make_certificate(&certificate, &authority, &issuer, &names)?;
    }
    Ok(Own { certificate, authority })
}

/// Makes a certificate for each of these roles, `NAME.pem` and `NAME-key.pem`, for servers and clients of this DNS name;
/// of the authority in the folder, `ca.pem` and `ca-key.pem`, which is made if there is none.
pub(crate) fn for_roles(folder: &Path, roles: &[String], name: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let issuer = match read_authority(folder, CLUSTER) {
        Some(issuer) => issuer,
        None => make_authority(folder, CLUSTER)?,
    };
    for role in roles {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = !role.is_empty() && !role.starts_with('.') && role.bytes().all(plain) && role != "ca";
        anyhow::ensure!(fits, "{role:?} cannot be the name of a file here");
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([name.to_owned()])
            .with_context(|| format!("no certificate can be for {name:?}"))?;
        params.distinguished_name.push(DnType::CommonName, role.as_str());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, CERTIFICATE_DAYS);
        let certificate = params.signed_by(&key, &issuer)?;
        write_secret(&folder.join(format!("{role}-key.pem")), &key.serialize_pem())?;
        fs::write(folder.join(format!("{role}.pem")), certificate.pem())?;
    }
    Ok(())
}

fn read_authority(folder: &Path, name: &str) -> Option<Issuer<'static, KeyPair>> {
    let key = KeyPair::from_pem(&fs::read_to_string(folder.join("ca-key.pem")).ok()?).ok()?;
    let params = authority_params(name);
    // The certificate of the file has the same name and key as one made anew, and that is all an issuer needs.
    folder.join("ca.pem").exists().then(|| Issuer::new(params, key))
}

fn make_authority(folder: &Path, name: &str) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let key = KeyPair::generate()?;
    let params = authority_params(name);
    let authority = params.self_signed(&key)?;
    write_secret(&folder.join("ca-key.pem"), &key.serialize_pem())?;
    fs::write(folder.join("ca.pem"), authority.pem())?;
    Ok(Issuer::new(params, key))
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, AUTHORITY_DAYS);
    params
}

fn make_certificate(
    files: &Certificate,
    authority: &Path,
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params =
        CertificateParams::new(names).with_context(|| format!("no certificate can be for {names:?}"))?;
    params.distinguished_name.push(DnType::CommonName, names[0].clone());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, CERTIFICATE_DAYS);
    let chain = params.signed_by(&key, issuer)?.pem() + &fs::read_to_string(authority)?;
    write_secret(&files.key, &key.serialize_pem())?;
    Ok(fs::write(&files.chain, chain)?)
}

/// A day in the past, as clocks differ, to `days` from now.
fn valid_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * days).into();
}

fn still_good(chain: &Path, names: &[String]) -> bool {
    let Ok(Some(leaf)) = leaf(chain) else { return false };
    let days_left = leaf.days_left;
    let mut has = leaf.names;
    let mut wants = names.to_vec();
    has.sort();
    wants.sort();
    has == wants && days_left > i64::from(LEFT_DAYS_MIN)
}

/// What a certificate says of itself.
pub(crate) struct Leaf {
    /// The DNS names and addresses it is for.
    pub(crate) names: Vec<String>,
    /// Until it expires; negative if it has.
    pub(crate) days_left: i64,
    /// The days until it becomes valid; 0 if it is.
    pub(crate) days_early: i64,
}

/// The first certificate of a PEM file; `None` if there is none in it.
pub(crate) fn leaf(chain: &Path) -> anyhow::Result<Option<Leaf>> {
    use rustls::pki_types::pem::PemObject as _;
    let Some(der) = rustls::pki_types::CertificateDer::pem_file_iter(chain)?.next().transpose()? else {
        return Ok(None);
    };
    let (_, parsed) = X509Certificate::from_der(&der)?;
    let alternatives = parsed.subject_alternative_name()?.map(|extension| &extension.value.general_names);
    let names = alternatives.into_iter().flatten().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
        x509_parser::extensions::GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed());
    let seconds = DAY.as_secs().cast_signed();
    Ok(Some(Leaf {
        names: names.collect(),
        days_left: (parsed.validity().not_after.timestamp() - now).div_euclid(seconds),
        days_early: (parsed.validity().not_before.timestamp() - now + seconds - 1).div_euclid(seconds).max(0),
    }))
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from))
        .ok()
        .map(|address| address.to_string())
}

/// Writes a file that only its owner can read, from the moment it exists.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn domains(names: &[&str]) -> Vec<Jid> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_certificate_is_kept_while_it_is_for_the_same_domains_and_its_authority_for_ever() {
        let data = tempfile::tempdir().unwrap();

        let first = own(data.path(), &domains(&["a.example"])).unwrap();
        let read = |own: &Own| (fs::read(&own.authority).unwrap(), fs::read(&own.certificate.chain).unwrap());
        let (authority, chain) = read(&first);

        assert_eq!(
            read(&own(data.path(), &domains(&["a.example"])).unwrap()),
            (authority.clone(), chain.clone())
        );
        let other = own(data.path(), &domains(&["a.example", "b.example"])).unwrap();
        assert_eq!(read(&other).0, authority);
        assert_ne!(read(&other).1, chain);
        assert_eq!(leaf(&other.certificate.chain).unwrap().unwrap().names, ["a.example", "b.example"]);
    }

    #[test]
    fn certificates_for_roles_are_ones_that_roles_take_and_are_renewed_under_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let files = |role: &str| node::wire::Files {
            certificate: folder.path().join(format!("{role}.pem")),
            key: folder.path().join(format!("{role}-key.pem")),
            authority: folder.path().join("ca.pem"),
            name: "throng".into(),
        };
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let roles = ["edge".to_owned(), "session".to_owned()];

        for_roles(folder.path(), &roles, "throng").unwrap();
        let before = (read("ca.pem"), read("edge.pem"));
        for_roles(folder.path(), &roles[..1], "throng").unwrap();

        assert_eq!(read("ca.pem"), before.0);
        assert_ne!(read("edge.pem"), before.1);
        for role in roles {
            node::wire::Tls::load(files(&role)).unwrap();
        }
        assert!(for_roles(folder.path(), &["ca".to_owned()], "throng").is_err());
        assert!(for_roles(folder.path(), &["../edge".to_owned()], "throng").is_err());
    }

    #[test]
    fn keys_are_for_their_owner_alone() {
        let data = tempfile::tempdir().unwrap();

        let own = own(data.path(), &domains(&["localhost"])).unwrap();

        for key in [own.certificate.key, data.path().join("tls/ca-key.pem")] {
            assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
