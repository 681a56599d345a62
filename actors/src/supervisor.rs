//! A supervisor for children that are not restarted in place: rooms (rebuilt on demand) and connections (temporary).

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

/// Told about every child that ends: its cell, and why if it failed.
pub(crate) type OnChildEnd = Box<dyn Fn(&ActorCell, Option<&ActorProcessingErr>) + Send + Sync>;

/// See the module's documentation. Ractor's default would stop the supervisor, and with it all its children, as soon
/// as one of them ends.
pub(crate) struct Supervisor {
    on_child_end: OnChildEnd,
}

impl Supervisor {
    /// Starts a supervisor below `parent`.
    pub(crate) async fn start(parent: ActorCell, on_child_end: OnChildEnd) -> Result<ActorCell, SpawnErr> {
        let (supervisor, _) = Actor::spawn_linked(None, Self { on_child_end }, (), parent).await?;
        Ok(supervisor.get_cell())
    }
}

impl Actor for Supervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(child, ..) => (self.on_child_end)(&child, None),
            SupervisionEvent::ActorFailed(child, error) => (self.on_child_end)(&child, Some(&error)),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}
