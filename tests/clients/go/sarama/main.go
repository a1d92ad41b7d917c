// sarama.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"clients/lines"
)

func main() { lines.Main(member, tool) }

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Return.Errors = true
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return config
}

type consumer struct {
	topic     string
	positions *lines.Positions
	group     sarama.ConsumerGroup
	session   atomic.Pointer[sarama.ConsumerGroupSession]
	cancel    context.CancelFunc
	ended     chan error
}

func member(args lines.Arguments, positions *lines.Positions) (lines.Member, error) {
	config := config()
	config.Consumer.Group.Session.Timeout = args.Session()
	config.Consumer.Group.InstanceId = args["instance"]
	group, err := sarama.NewConsumerGroup([]string{args["bootstrap"]}, args["group"], config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &consumer{
		topic: args["topic"], positions: positions, group: group,
		cancel: cancel, ended: make(chan error, 1),
	}
	go func() {
		// Told for the person who watches; what matters shows in the data.
		for err := range group.Errors() {
			log.Print(err)
		}
	}()
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = group.Consume(ctx, []string{c.topic}, c)
		}
		if err != nil {
			lines.Say("error", err)
		}
		c.ended <- err
	}()
	return c, nil
}

func (c *consumer) Setup(session sarama.ConsumerGroupSession) error {
	c.session.Store(&session)
	c.positions.Assigned(session.GenerationID(), session.Claims()[c.topic])
	return nil
}

func (c *consumer) Cleanup(session sarama.ConsumerGroupSession) error {
	c.positions.Revoked(session.Claims()[c.topic])
	return nil
}

func (c *consumer) ConsumeClaim(
	_ sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for m := range claim.Messages() {
		c.positions.Record(m.Partition, m.Offset, m.Key, m.Value)
	}
	return nil
}

func (c *consumer) Commit(positions map[int32]int64) error {
	session := *c.session.Load()
	for part, offset := range positions {
		session.MarkOffset(c.topic, part, offset, "")
	}
	session.Commit()
	return nil
}

func (c *consumer) Close() error {
	c.cancel()
	return errors.Join(<-c.ended, c.group.Close())
}

func tool(args lines.Arguments) (lines.Tool, error) {
	sarama.Logger = log.New(io.Discard, "", 0)
	log.SetOutput(os.Stderr)
	client, err := sarama.NewClient([]string{args["bootstrap"]}, config())
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return nil, err
	}
	return func(verb string, words []string) error {
		if verb == "produce" {
			return produce(producer, words[0], words[1], words[2])
		}
		return administer(admin, verb, words)
	}, nil
}

func produce(producer sarama.SyncProducer, topic, prefix, count string) error {
	var records []*sarama.ProducerMessage
	lines.Records(prefix, count, func(key, value string) {
		records = append(records, &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value),
		})
	})
	return producer.SendMessages(records)
}

func administer(admin sarama.ClusterAdmin, verb string, words []string) error {
	switch verb {
	case "create":
		count := int32(lines.Number(words[1]))
		detail := &sarama.TopicDetail{NumPartitions: count, ReplicationFactor: 1}
		return admin.CreateTopic(words[0], detail, false)
	case "list":
		groups, err := admin.ListConsumerGroups()
		for group := range groups {
			lines.Say("group", group, "-")
		}
		return err
	case "describe":
		return describe(admin, words[0])
	case "offsets":
		found, err := admin.ListConsumerGroupOffsets(words[0], nil)
		if err != nil {
			return err
		}
		for part, at := range found.Blocks[words[1]] {
			if at.Err != sarama.ErrNoError {
				return at.Err
			}
			if at.Offset >= 0 {
				lines.Say("offset", part, at.Offset)
			}
		}
		if found.Err != sarama.ErrNoError {
			return found.Err
		}
		return nil
	case "alter":
		return alter(admin, words[0], words[1], words[2])
	case "delete-offsets":
		for part := range lines.ParseOffsets(words[2]) {
			if err := admin.DeleteConsumerGroupOffset(words[0], words[1], part); err != nil {
				return err
			}
		}
		return nil
	case "delete":
		return admin.DeleteConsumerGroup(words[0])
	}
	return errors.New("no such command: " + verb)
}

func describe(admin sarama.ClusterAdmin, name string) error {
	groups, err := admin.DescribeConsumerGroups([]string{name})
	if err != nil {
		return err
	}
	if groups[0].Err != sarama.ErrNoError {
		return groups[0].Err
	}
	lines.Say("state", groups[0].State)
	for id, member := range groups[0].Members {
		var parts []int32
		if len(member.MemberAssignment) > 0 {
			assigned, err := member.GetMemberAssignment()
			if err != nil {
				return err
			}
			for _, of := range assigned.Topics {
				parts = append(parts, of...)
			}
		}
		lines.Say("member", id, lines.OrDash(member.GroupInstanceId), lines.Parts(parts))
	}
	return nil
}

func alter(admin sarama.ClusterAdmin, group, topic, places string) error {
	wanted := map[int32]sarama.OffsetAndMetadata{}
	for part, offset := range lines.ParseOffsets(places) {
		wanted[part] = sarama.OffsetAndMetadata{Offset: offset, LeaderEpoch: -1}
	}
	all := map[string]map[int32]sarama.OffsetAndMetadata{topic: wanted}
	done, err := admin.AlterConsumerGroupOffsets(group, all, nil)
	if err != nil {
		return err
	}
	for topic, errs := range done.Errors {
		for part, code := range errs {
			if code != sarama.ErrNoError {
				return fmt.Errorf("%s %d: %w", topic, part, code)
			}
		}
	}
	return nil
}
