//! The null server alone, on one thread: `null PLAIN-ADDRESS TLS-ADDRESS`.

use rig::null::{Options, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|address| address.parse());
    let options = Options {
        plain: arguments.next().transpose()?,
        direct: arguments.next().transpose()?,
        domain: "localhost".to_owned(),
    };
    Ok(Server::bind(&options)?.serve().await?)
}
