// franz-go, with kadm for the admin part; its default assignor is cooperative.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"clients/lines"
)

func main() { lines.Main(member, tool) }

type consumer struct {
	client *kgo.Client
	topic  string
	cancel context.CancelFunc
	polled chan struct{}
}

func member(args lines.Arguments, positions *lines.Positions) (lines.Member, error) {
	topic := args["topic"]
	assigned := func(_ context.Context, client *kgo.Client, parts map[string][]int32) {
		_, generation := client.GroupMetadata()
		positions.Assigned(generation, parts[topic])
	}
	revoked := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		positions.Revoked(parts[topic])
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(args["bootstrap"]),
		kgo.ConsumerGroup(args["group"]),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(args.Session()),
		kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.OnPartitionsAssigned(assigned),
		kgo.OnPartitionsRevoked(revoked),
		kgo.OnPartitionsLost(revoked),
	}
	if instance := args["instance"]; instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &consumer{client, topic, cancel, make(chan struct{})}
	go c.poll(ctx, positions)
	return c, nil
}

func (c *consumer) poll(ctx context.Context, positions *lines.Positions) {
	defer close(c.polled)
	for ctx.Err() == nil {
		fetches := c.client.PollFetches(ctx)
		fetches.EachError(func(_ string, part int32, err error) {
			if !errors.Is(err, context.Canceled) {
				lines.Say("error", part, err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			positions.Record(r.Partition, r.Offset, r.Key, r.Value)
		})
		c.client.AllowRebalance()
	}
}

func (c *consumer) Commit(positions map[int32]int64) error {
	wanted := map[int32]kgo.EpochOffset{}
	for part, offset := range positions {
		wanted[part] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	var failed error
	done := func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, r *kmsg.OffsetCommitResponse, err error) {
		failed = err
		for _, topic := range r.Topics {
			for _, part := range topic.Partitions {
				failed = errors.Join(failed, kerr.ErrorForCode(part.ErrorCode))
			}
		}
	}
	all := map[string]map[int32]kgo.EpochOffset{c.topic: wanted}
	c.client.CommitOffsetsSync(context.Background(), all, done)
	return failed
}

func (c *consumer) Close() error {
	c.cancel()
	<-c.polled
	c.client.CloseAllowingRebalance()
	return nil
}

func tool(args lines.Arguments) (lines.Tool, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(args["bootstrap"]))
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(client)
	return func(verb string, words []string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if verb == "produce" {
			return produce(ctx, client, words[0], words[1], words[2])
		}
		return administer(ctx, admin, verb, words)
	}, nil
}

func produce(ctx context.Context, client *kgo.Client, topic, prefix, count string) error {
	var records []*kgo.Record
	lines.Records(prefix, count, func(key, value string) {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)})
	})
	return client.ProduceSync(ctx, records...).FirstErr()
}

func administer(ctx context.Context, admin *kadm.Client, verb string, words []string) error {
	switch verb {
	case "create":
		_, err := admin.CreateTopic(ctx, int32(lines.Number(words[1])), 1, nil, words[0])
		return err
	case "list":
		groups, err := admin.ListGroups(ctx)
		for _, group := range groups.Sorted() {
			lines.Say("group", group.Group, group.State)
		}
		return err
	case "describe":
		return describe(ctx, admin, words[0])
	case "offsets":
		offsets, err := admin.FetchOffsets(ctx, words[0])
		for _, at := range offsets.Sorted() {
			err = errors.Join(err, at.Err)
			if at.Topic == words[1] && at.At >= 0 {
				lines.Say("offset", at.Partition, at.At)
			}
		}
		return err
	case "alter":
		offsets := kadm.Offsets{}
		for part, at := range lines.ParseOffsets(words[2]) {
			offsets.AddOffset(words[1], part, at, -1)
		}
		return admin.CommitAllOffsets(ctx, words[0], offsets)
	case "delete-offsets":
		places := kadm.TopicsSet{}
		for part := range lines.ParseOffsets(words[2]) {
			places.Add(words[1], part)
		}
		done, err := admin.DeleteOffsets(ctx, words[0], places)
		return errors.Join(err, done.Error())
	case "delete":
		done, err := admin.DeleteGroup(ctx, words[0])
		return errors.Join(err, done.Err)
	}
	return errors.New("no such command: " + verb)
}

func describe(ctx context.Context, admin *kadm.Client, name string) error {
	groups, err := admin.DescribeGroups(ctx, name)
	if err != nil {
		return err
	}
	group := groups[name]
	if group.Err != nil {
		return group.Err
	}
	lines.Say("state", group.State)
	for _, member := range group.Members {
		var parts []int32
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				parts = append(parts, topic.Partitions...)
			}
		}
		lines.Say("member", member.MemberID, lines.OrDash(member.InstanceID), lines.Parts(parts))
	}
	return nil
}
