//! A stage with two owners and the routers between them.

use super::{Edge, House, Role, Stage, account};
use crate::config::{Config, Range};

/// Two owners, of which the first has romeo's slot and the second all others, and the routers between them.
pub(crate) struct Cities {
    pub(crate) stage: Stage,
    pub(crate) routers: Vec<Role<router::Router>>,
    pub(crate) verona: House,
    pub(crate) mantua: House,
    pub(crate) west: Edge,
    pub(crate) east: Edge,
}

impl Cities {
    pub(crate) async fn new(routers: usize) -> Self {
        Self::on(Stage::new().await, routers).await
    }

    pub(crate) async fn on(mut stage: Stage, routers: usize) -> Self {
        let mut all = Vec::new();
        for _ in 0..routers {
            let router = Stage::router(0).await;
            stage.routers.push(router.wire());
            all.push(router);
        }
        let verona = stage.open_at(0, &config(&stage, "verona")).await;
        let mantua = stage.open_at(0, &config(&stage, "mantua")).await;
        let west = Edge::open("west", verona.wire()).await;
        let east = Edge::open("east", mantua.wire()).await;
        Self { stage, routers: all, verona, mantua, west, east }
    }

    pub(crate) async fn router_returns(&mut self, at: usize) {
        let port = self.routers[at].port();
        self.routers[at] = Stage::router(port).await;
    }

    pub(crate) async fn verona_returns(&mut self) {
        let port = self.verona.port();
        self.verona = self.stage.open_at(port, &config(&self.stage, "verona")).await;
    }

    pub(crate) async fn mantua_returns(&mut self) {
        let port = self.mantua.port();
        self.mantua = self.stage.open_at(port, &config(&self.stage, "mantua")).await;
    }
}

fn config(stage: &Stage, member: &str) -> Config {
    let romeos = node::slots::of(account("romeo").as_str(), "");
    let range = |member: &str, first, last| Range { member: member.into(), first, last };
    let owners = vec![
        range("mantua", 0, romeos - 1),
        range("verona", romeos, romeos),
        range("mantua", romeos + 1, node::slots::SLOTS - 1),
    ];
    Config { member: member.into(), owners, ..stage.config.clone() }
}
