//! Private servers on free ports of this machine, in temporary folders, removed when they are dropped.

mod account;
pub(crate) mod certificates;
mod haproxy;
mod ports;
mod postgres;
mod redis;
mod redis_cluster;
mod run;
mod shared_postgres;

pub use haproxy::{HaProxy, HaProxyOptions, Health, Target};
pub use postgres::{Postgres, PostgresOptions};
pub use redis::{Redis, RedisOptions, TestRedis, redis_for_tests};
pub use redis_cluster::RedisCluster;
pub use run::run;
pub use shared_postgres::{TestPostgres, postgres_for_tests};
