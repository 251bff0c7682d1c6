"""Everything that a run opens and checks before it writes its first byte: bad set-up fails here, in seconds."""

from __future__ import annotations

import dataclasses

from scorer.config import RunConfig
from scorer.listener import Listener, Silence
from scorer.model.session import import_onnxruntime
from scorer.model.tuning import decisive
from scorer.pipeline.stages import Stages
from scorer.results.manifest import Manifest
from scorer.results.run_directory import RunDirectory
from scorer.results.shard_writer import ShardWriter
from scorer.run.engines.engine import Work
from scorer.run.setup.data import OpenData, open_data
from scorer.run.setup.model import OpenModel, open_model
from scorer.run.setup.session import OpenSession, PredictorElsewhere, open_session
from scorer.sources import Plan
from scorer.system.clock import Clock
from scorer.system.files import refuse_undecodable


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A run that is ready to score; nothing is written yet.

    Attributes:
        config: what was asked for.
        directory: where results will go.
        model: the model directory, opened.
        data: the data, their shards and labels.
        session: the session that runs.
        manifest: what decides the results, and the shards and label counts of the data.
        clock: receives the seconds spent per stage.
        listener: hears of progress.
    """

    config: RunConfig
    directory: RunDirectory
    model: OpenModel
    data: OpenData
    session: OpenSession
    manifest: Manifest
    clock: Clock
    listener: Listener

    @property
    def plan(self) -> Plan:
        """Shards and label counts of the data."""
        return self.manifest.plan

    @property
    def stages(self) -> Stages:
        """The inner loop's parts."""
        return Stages(
            source=self.data.source,
            task=self.data.task,
            predictor=self.session.predictor,
            window_rows=self.session.window_rows,
            clock=self.clock,
            progress=self.listener.advanced,
        )

    def work(self, writer: ShardWriter) -> Work:
        """What an engine needs, to be written by this writer."""
        elsewhere = PredictorElsewhere(
            config=self.config,
            directory=self.model.directory,
            max_length=self.model.max_length,
            setting=self.session.setting,
            device=self.session.device,
        )
        return Work(
            source=self.data.source,
            task=self.data.task,
            make_predictor=elsewhere,
            writer=writer,
            window_rows=self.session.window_rows,
            skip_bad_files=self.config.skip_bad_files,
        )


def prepare(config: RunConfig, listener: Listener | None = None) -> Job:
    """Open and check everything that a run needs, before it writes its first byte: model, data, session.

    Raises:
        ScorerError: one of its subclasses, as `score` does.
    """
    listener = listener or Silence()
    for option, path in (("MODEL_DIR", config.model), ("--output", config.output), ("--label-map", config.label_map)):
        refuse_undecodable(option, path)
    directory = RunDirectory(config.output)
    earlier = directory.earlier_run(overwrite=config.overwrite)
    import_onnxruntime()
    clock = Clock()
    with clock.stage("prepare"):
        model = open_model(config)
    with clock.stage("plan"):
        data = open_data(config, model, directory, earlier, listener)
    with clock.stage("session"):
        session = open_session(config, model, earlier)
    fingerprint = {**data.fingerprint, "device": session.provider, **decisive(session.setting)}
    directory.refuse_another_run(earlier, fingerprint)
    return Job(config, directory, model, data, session, Manifest(fingerprint, data.plan), clock, listener)
