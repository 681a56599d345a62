//! A node as it is, but that holes in a room's log are never filled from the store: what the bus loses stays lost until a
//! client comes back. `load-tests rehearse --without repair` runs it, to show that it would notice.
#![allow(clippy::print_stdout, reason = "a program that stands in for the node's own")]

use actors::planted::{Bug, plant};
use node::{
    Server,
    cli::{self, Action},
};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> anyhow::Result<()> {
    let invocation = cli::parse()?;
    anyhow::ensure!(matches!(invocation.action, Action::Run), "this one can only run");
    plant(Some(Bug::HolesStay));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(|| plant(Some(Bug::HolesStay)))
        .build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut server = Server::bind(invocation.config)?;
        println!("listening on http://{}", server.public_address());
        println!("private on http://{}", server.private_address());
        server.start().await?;
        terminated.recv().await;
        server.drain().await;
        Ok(())
    })
}
