package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Jobs: work on finished recordings waits in a queue until a node with room
// takes it. The queue names recordings only; all else stands in their records
// (docs/formats/ledger.md).
const (
	jobStream  = "tapedeck_jobs"
	jobSubject = "jobs." // <sid>
	jobNodes   = "nodes" // the one consumer, shared by all nodes

	// jobQueued is what the server answers when a subject holds a message already
	// ("maximum messages per subject exceeded").
	jobQueued jetstream.ErrorCode = 10077

	// A job whose node has not been heard of for this long goes to another one.
	jobSilence = 45 * time.Second
)

// Job is a piece of work that this node has taken. Exactly one of Done and
// Later ends it; without either it is given to another node after a while.
type Job struct {
	SID     string
	Attempt int // from 1

	msg jetstream.Msg
}

// Working tells that the job is still being worked on. It is due every 15 s.
func (j *Job) Working() error { return j.msg.InProgress() }

// Done takes the job out of the queue.
func (j *Job) Done(ctx context.Context) error { return j.msg.DoubleAck(ctx) }

// Later gives the job back, to be taken again after a pause.
func (j *Job) Later(pause time.Duration) error { return j.msg.NakWithDelay(pause) }

// Jobs is the queue.
type Jobs struct {
	l    *Ledger
	cons jetstream.Consumer
}

// OpenJobs makes sure that the queue exists.
func (l *Ledger) OpenJobs(ctx context.Context, replicas int) (*Jobs, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if replicas == 0 {
		replicas = 1
	}
	stream, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: jobStream, Subjects: []string{jobSubject + "*"}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.FileStorage, Replicas: replicas, MaxMsgsPerSubject: 1, DiscardNewPerSubject: true,
		Discard: jetstream.DiscardNew, MaxBytes: -1, MaxMsgSize: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: create the queue of jobs (is JetStream on, with %d server(s) for its replicas?): %w", replicas, err)
	}
	cons, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: jobNodes, AckPolicy: jetstream.AckExplicitPolicy, AckWait: jobSilence, MaxDeliver: -1, MaxAckPending: 1000,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: create the consumer of jobs: %w", err)
	}
	return &Jobs{l: l, cons: cons}, nil
}

// Add queues the work on a recording. It is durable when Add returns; a job
// that is queued already stays one.
func (j *Jobs) Add(ctx context.Context, sid string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := j.l.js.PublishMsg(ctx, &nats.Msg{Subject: jobSubject + sid, Header: nats.Header{}, Data: []byte(sid)})
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jobQueued {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: queue the work on recording %s: %w", sid, err)
	}
	return nil
}

// Take waits for the next job until ctx ends.
func (j *Jobs) Take(ctx context.Context) (*Job, error) {
	for ctx.Err() == nil {
		if job, err := j.ask(ctx); job != nil || err != nil {
			return job, err
		}
	}
	return nil, ctx.Err()
}

// jobWait is how long one question for a job stands.
const jobWait = 30 * time.Second

// ask waits for a job, but not for ever. Nil without an error: there was none.
func (j *Jobs) ask(ctx context.Context) (*Job, error) {
	wait, cancel := context.WithTimeout(ctx, jobWait)
	defer cancel()
	batch, err := j.cons.Fetch(1, jetstream.FetchContext(wait))
	if err != nil {
		return nil, fmt.Errorf("ledger: take a job: %w", err)
	}
	if m, ok := <-batch.Messages(); ok {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("ledger: take a job: %w", err)
		}
		return &Job{SID: string(m.Data()), Attempt: int(meta.NumDelivered), msg: m}, nil
	}
	err = batch.Error()
	if err == nil || wait.Err() != nil || errors.Is(err, nats.ErrTimeout) {
		return nil, nil
	}
	return nil, fmt.Errorf("ledger: take a job: %w", err)
}

// Waiting counts the jobs that are queued or being worked on.
func (j *Jobs) Waiting(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := j.cons.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ledger: look at the queue of jobs: %w", err)
	}
	return int(info.NumPending) + info.NumAckPending, nil
}
