//! A whole deployment on this machine: the group with its load balancer and what keeps its size, Postgres, Redis, and a
//! network before Redis that can be harmed.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use anyhow::Context;
use tokio::{io::AsyncWriteExt, process::Command, task::spawn_blocking};

use super::{Without, number};
use crate::{
    group::{Group, GroupSettings, Keeper, Metric, Readings},
    lab::{Postgres, PostgresOptions, Redis},
    proxy::{Proxy, ProxyOptions},
    stage::node_program,
};

/// Who reads the list of nodes. Everything here is on this machine and gone afterwards: the password is no secret.
const NAME: &str = "Root";
const PASSWORD: &str = "the rehearsal's own password";

#[derive(serde::Deserialize)]
struct Session {
    token: String,
}

/// How a deployment on this machine is set up.
#[derive(Debug, Clone, clap::Args)]
pub struct DeploymentOptions {
    /// CloudFormation template to take the numbers of the group from, such as infra/cloudformation/service.yaml, with the
    /// scripts of its machines in ../instance beside it; by default those files as they were when this was built.
    #[arg(long)]
    pub template: Option<PathBuf>,
    /// How many times as fast as in the stack boot, health checks, datapoints, warm-up, drain and deregistration are.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub time_scale: u32,
    /// Connections of an instance that the group aims at, in place of the stack's number, which is for a whole machine.
    #[arg(long, default_value_t = 150.0, value_parser = number)]
    pub connections_per_instance: f64,
    /// What one instance has of this machine's processors, in cores: so much is 100 % to the group.
    #[arg(long, default_value_t = 0.15, value_parser = number)]
    pub cores_per_instance: f64,
    /// Further configuration of every node, as `KEY=VALUE`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// The nodes' program; by default the one that HUBBUB_TEST_NODE names, or `node` beside this program.
    #[arg(long)]
    pub node: Option<PathBuf>,
}

/// A running deployment. Dropping it ends all of it.
pub struct Deployment {
    /// The instances.
    pub group: Arc<Group>,
    /// The newest datapoints of the group's policies.
    pub readings: Readings,
    /// Between all nodes and Redis.
    pub bus: Proxy,
    /// The store of all nodes.
    pub postgres: Postgres,
    program: PathBuf,
    _keeper: Keeper,
    _redis: Redis,
}

impl Deployment {
    /// Starts everything, and returns when as many instances as there are at rest are in service.
    ///
    /// # Errors
    /// When a server or a node does not start, or the nodes' program is not found.
    pub async fn start(options: &DeploymentOptions, without: Option<Without>) -> anyhow::Result<Self> {
        let program = match (&options.node, without) {
            (Some(program), _) => program.clone(),
            (None, Some(Without::Repair)) => without_repair()?,
            (None, _) => node_program()?,
        };
        // The power is never cut, and a disk that others write to as well would be measured instead.
        let postgres = PostgresOptions {
            fsync: false,
            max_connections: 300,
        };
        let postgres = Box::pin(Postgres::start_with(postgres)).await?;
        let redis = spawn_blocking(Redis::start).await??;
        let upstream = ([127, 0, 0, 1], redis.port()).into();
        let bus = Proxy::start(ProxyOptions {
            redis: true,
            ..ProxyOptions::new(upstream)
        });
        let bus = bus.await?;
        let mut settings = vec![
            ("store.url".to_owned(), postgres.url()),
            ("bus.url".to_owned(), format!("redis://{}", bus.address())),
            ("auth.guests".to_owned(), "true".to_owned()),
            ("rooms.create_on_join".to_owned(), "true".to_owned()),
        ];
        if without == Some(Without::Rebalancing) {
            settings.push(("cluster.rebalance_percent".to_owned(), "0".to_owned()));
        }
        settings.extend(options.settings.iter().cloned());
        let group = Group::start_program(options.group(without)?, settings, &program).await?;
        let group = Arc::new(group);
        let (keeper, readings) = Keeper::start(&group, options.cores_per_instance);
        Ok(Self {
            group,
            readings,
            bus,
            postgres,
            program,
            _keeper: keeper,
            _redis: redis,
        })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.group.address())
    }

    /// Makes an administrator; the token of a session of theirs.
    ///
    /// # Errors
    /// When the nodes' program or the deployment does not do it.
    pub async fn administrator(&self) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.args(["make-administrator", NAME, "--password-stdin"]);
        command.arg("--store-url").arg(self.postgres.url());
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().context("cannot run the nodes' program")?;
        let mut input = child.stdin.take().context("no standard input")?;
        input.write_all(format!("{PASSWORD}\n").as_bytes()).await?;
        drop(input);
        anyhow::ensure!(
            child.wait().await?.success(),
            "the nodes' program made no administrator"
        );
        let sessions = format!("http://{}/api/v1/sessions", self.group.address());
        let signed_in = reqwest::Client::new().post(sessions);
        let signed_in = signed_in.json(&serde_json::json!({ "name": NAME, "password": PASSWORD }));
        let session: Session = signed_in.send().await?.error_for_status()?.json().await?;
        Ok(session.token)
    }
}

impl DeploymentOptions {
    /// The group's numbers, at this machine's size and pace.
    pub(super) fn group(&self, without: Option<Without>) -> anyhow::Result<GroupSettings> {
        let mut settings = GroupSettings::read(self.template.as_deref())?;
        let connections = settings
            .scaling
            .policies
            .iter()
            .find_map(|policy| match &policy.metric {
                Metric::Node(_) => Some(policy.metric.clone()),
                Metric::Processor => None,
            });
        let connections = connections.context("no policy of the group looks at the nodes' connections")?;
        let target = self.connections_per_instance;
        settings.scaling.set_target(&connections, target);
        let mut settings = settings.scaled(self.time_scale);
        if without == Some(Without::Drain) {
            settings.drain = std::time::Duration::ZERO;
        }
        Ok(settings)
    }
}

/// The node that does not repair anything, which is built beside the node.
fn without_repair() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("the path of this program")?;
    let beside = this.ancestors().skip(1).take(2);
    let mut found = beside.map(|folder| folder.join("examples/without_repair"));
    found.find(|program| program.is_file()).with_context(|| {
        format!(
            "there is no program examples/without_repair beside {}: build it first (cargo build -p node --example \
             without_repair, with the same profile)",
            this.display()
        )
    })
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("this is not KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
