//! How a place is written in a configuration.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// Where processes of a role are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `http://host:port`, or `https://` where wires are secured: there, whatever the host's address is.
    Url {
        /// Whether it says `https`.
        secured: bool,
        /// `host:port`
        address: String,
    },
    /// `dns://name:port`: at every address of the name.
    Dns {
        /// The name.
        name: String,
        /// The port at each address.
        port: u16,
    },
    /// `kube://namespace/service:port`: at every ready endpoint of a Kubernetes service.
    Kube {
        /// The namespace of the service.
        namespace: String,
        /// The name of the service.
        service: String,
        /// The name of one of its ports, or the number on which its pods listen.
        port: String,
    },
}

/// How a place is written.
pub const FORMS: &str =
    "http://host:port, https://host:port, dns://name:port or kube://namespace/service:port";

/// It is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place is {FORMS}")]
pub struct PlaceError;

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let (scheme, rest) = text.split_once("://").ok_or(PlaceError)?;
        match scheme {
            "http" | "https" => {
                let secured = scheme == "https";
                let uri: Uri = text.parse().map_err(|_| PlaceError)?;
                let authority = uri.authority().ok_or(PlaceError)?;
                let bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
                let host =
                    Some(authority.host()).filter(|host| bare && !host.is_empty()).ok_or(PlaceError)?;
                let port = match authority.port_u16() {
                    Some(port) => port,
                    None if authority.as_str() != host => return Err(PlaceError),
                    None if secured => 443,
                    None => 80,
                };
                Ok(Self::Url { secured, address: format!("{host}:{port}") })
            }
            "dns" => {
                let (name, port) = rest.rsplit_once(':').ok_or(PlaceError)?;
                let port = port.parse().ok().filter(|port| *port > 0).ok_or(PlaceError)?;
                let name = Some(name).filter(|name| is_name(name)).ok_or(PlaceError)?.to_owned();
                Ok(Self::Dns { name, port })
            }
            "kube" => {
                let (namespace, service) = rest.split_once('/').ok_or(PlaceError)?;
                let (service, port) = service.split_once(':').ok_or(PlaceError)?;
                let all = [namespace, service, port];
                let [namespace, service, port] = if all.into_iter().all(is_label) {
                    all.map(str::to_owned)
                } else {
                    return Err(PlaceError);
                };
                Ok(Self::Kube { namespace, service, port })
            }
            _ => Err(PlaceError),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { secured, address } => {
                write!(f, "http{}://{address}", if *secured { "s" } else { "" })
            }
            Self::Dns { name, port } => write!(f, "dns://{name}:{port}"),
            Self::Kube { namespace, service, port } => write!(f, "kube://{namespace}/{service}:{port}"),
        }
    }
}

/// RFC 1123 §2.1, and the dot of a name that is whole.
fn is_name(text: &str) -> bool {
    text.len() <= 254 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let whole = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_place_is_read_and_told_again() {
        for text in [
            "http://127.0.0.1:5290",
            "https://[::1]:5290",
            "dns://owners.chat.svc.cluster.local:5290",
            "kube://chat/owners:grpc",
            "kube://chat/owners:5290",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        let implied = Place::Url { secured: true, address: "owner:443".to_owned() };
        assert_eq!("https://owner".parse(), Ok(implied));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "127.0.0.1:5290",
            "ftp://owner:1",
            "http://",
            "http://:5290",
            "http://owner:5290/path",
            "http://me@owner:5290",
            "http://owner:99999",
            "dns://owners",
            "dns://owners:0",
            "dns://:5290",
            "dns://a..b:5290",
            "kube://owners:5290",
            "kube://chat/owners",
            "kube://chat/owners/more:5290",
            "kube:///owners:5290",
        ] {
            assert_eq!(text.parse::<Place>(), Err(PlaceError), "{text:?}");
        }
    }
}
