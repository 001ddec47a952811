//! The kernel as a contestant beside Rust's other event-sourcing crates: executor, decisions, sealing of personal fields,
//! group commit, projections; no service and no HTTP. `bench/peers` runs it.

mod kernel;
mod model;

use clap::Parser as _;
use parlor_contest::Order;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let order = Order::parse();
    let contestant = kernel::open(&order).await?;
    parlor_contest::run(&order, contestant).await
}
