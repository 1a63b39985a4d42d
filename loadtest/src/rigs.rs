//! What generator and ledger are doubted with.

use rig::faults::{Log, Plan, Proxy, Towards};
use rig::null::{Options, Server};

use crate::arguments::{Faults, Null};
use crate::{Outcome, Refusal};

/// Serves until it is interrupted.
pub(crate) async fn null(Null { listen, direct, domain }: Null) -> Result<Outcome, Refusal> {
    let options = Options { plain: Some(listen), direct, domain };
    let server = Server::bind(&options).map_err(|error| Refusal::unable(format!("{error:#}")))?;
    let addresses = server.addresses().map_err(|error| Refusal::unable(error.to_string()))?;
    for address in [addresses.0, addresses.1].into_iter().flatten() {
        println!("{address}");
    }
    tokio::select! {
        served = server.serve() => served.map_err(|error| Refusal::unable(error.to_string()))?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Outcome::Right)
}

/// Stands between until it is interrupted.
pub(crate) async fn faults(asked: Faults) -> Result<Outcome, Refusal> {
    let unable = |error: std::io::Error| Refusal::unable(error.to_string());
    let plan = Plan {
        drop_one_in: asked.drop,
        double_one_in: asked.double,
        delay_one_in: asked.delay,
        reorder_one_in: asked.reorder,
        delay: asked.delay_for,
        seed: asked.seed,
        ..Plan::default()
    };
    let towards = if asked.towards_server { Towards::Server } else { Towards::Client };
    let log = Log::create(&asked.log).map_err(unable)?;
    let proxy = Proxy::bind(asked.listen, asked.server, plan, towards, log).await.map_err(unable)?;
    println!("{}", proxy.address().map_err(unable)?);
    tokio::select! {
        served = proxy.run(asked.stall.map(|lasts| (asked.stall_after, lasts))) => served.map_err(unable)?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Outcome::Right)
}
