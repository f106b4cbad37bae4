package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// All keys have one hash tag, so that a cluster keeps them on one node and a script may touch several.
const (
	keyGenerations = "{sessions}:generations" // hash: connector → generation
	keyOrder       = "{sessions}:order"       // sorted by name: connector/id
	keyDeadlines   = "{sessions}:deadlines"   // sorted by deadline, in milliseconds: connector/id
	keySession     = "{sessions}:session:"    // + id: the session
	redisPart      = 500                      // sessions in a script or a pipeline
)

// Redis is the index that several replicas share. Its members and values may go at any moment.
type Redis struct {
	client redis.UniversalClient
}

// NewRedis answers the index in a Redis server or cluster.
func NewRedis(client redis.UniversalClient) *Redis { return &Redis{client: client} }

func scriptPut() *redis.Script {
	return redis.NewScript(`
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 4, #KEYS do
  local member, value = ARGV[2 * i - 3], ARGV[2 * i - 2]
  redis.call('SET', KEYS[i], value, 'EX', ARGV[4])
  redis.call('ZADD', KEYS[2], 0, member)
  redis.call('ZADD', KEYS[3], ARGV[3], member)
end
return 1`)
}

func scriptDelete() *redis.Script {
	return redis.NewScript(`
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') > tonumber(ARGV[2]) then return 0 end
for i = 4, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('ZREM', KEYS[2], ARGV[i - 1])
  redis.call('ZREM', KEYS[3], ARGV[i - 1])
end
return 1`)
}

// scriptSweep looks at the deadline again: it may have been renewed since.
func scriptSweep() *redis.Script {
	return redis.NewScript(`
local swept = 0
for i = 3, #KEYS do
  local member = ARGV[i - 1]
  local deadline = redis.call('ZSCORE', KEYS[2], member)
  if deadline and tonumber(deadline) < tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member)
    swept = swept + 1
  end
end
return swept`)
}

// Put keeps sessions.
func (r *Redis) Put(ctx context.Context, l Lease, sessions []*sessionv1.Session) error {
	ttl := max(1, int(time.Until(l.Deadline)/time.Second)) + int(Kept/time.Second)
	for part := range slices.Chunk(sessions, redisPart) {
		keys := []string{keyGenerations, keyOrder, keyDeadlines}
		args := []any{l.Connector, l.Generation, l.Deadline.UnixMilli(), ttl}
		for _, s := range part {
			data, err := proto.Marshal(s)
			if err != nil {
				return fmt.Errorf("writing session %s: %w", s.GetId(), err)
			}
			keys = append(keys, keySession+s.GetId())
			args = append(args, Key(l.Connector, s.GetId()), data)
		}
		if err := scriptPut().Run(ctx, r.client, keys, args...).Err(); err != nil {
			return fmt.Errorf("keeping sessions in Redis: %w", err)
		}
	}
	return nil
}

// Renew moves deadlines, in one go.
func (r *Redis) Renew(ctx context.Context, l Lease, ids []string) (missing []string, err error) {
	ttl := time.Until(l.Deadline) + Kept
	for part := range slices.Chunk(ids, redisPart) {
		there := make([]*redis.BoolCmd, len(part))
		_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			members := make([]redis.Z, len(part))
			for i, id := range part {
				there[i] = p.Expire(ctx, keySession+id, ttl)
				members[i] = redis.Z{Score: float64(l.Deadline.UnixMilli()), Member: Key(l.Connector, id)}
			}
			p.ZAddXX(ctx, keyDeadlines, members...)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("renewing sessions in Redis: %w", err)
		}
		for i, id := range part {
			if !there[i].Val() {
				missing = append(missing, id)
			}
		}
	}
	return missing, nil
}

// Delete forgets sessions.
func (r *Redis) Delete(ctx context.Context, l Lease, ids []string) error {
	for part := range slices.Chunk(ids, redisPart) {
		keys := []string{keyGenerations, keyOrder, keyDeadlines}
		args := []any{l.Connector, l.Generation}
		for _, id := range part {
			keys, args = append(keys, keySession+id), append(args, Key(l.Connector, id))
		}
		if err := scriptDelete().Run(ctx, r.client, keys, args...).Err(); err != nil {
			return fmt.Errorf("forgetting sessions in Redis: %w", err)
		}
	}
	return nil
}

// Get answers one session.
func (r *Redis) Get(ctx context.Context, id string) (Row, bool, error) {
	data, err := r.client.Get(ctx, keySession+id).Bytes()
	if errors.Is(err, redis.Nil) {
		return Row{}, false, nil
	}
	if err != nil {
		return Row{}, false, fmt.Errorf("reading a session from Redis: %w", err)
	}
	s := new(sessionv1.Session)
	if err := proto.Unmarshal(data, s); err != nil {
		return Row{}, false, fmt.Errorf("reading session %s: %w", id, err)
	}
	rows, err := r.rows(ctx, []string{Key(s.GetConnector(), id)})
	if err != nil || len(rows) == 0 {
		return Row{}, false, err
	}
	return rows[0], true, nil
}

// Range answers sessions in order.
func (r *Redis) Range(ctx context.Context, after string, n int) ([]Row, error) {
	var rows []Row
	for len(rows) < n {
		members, err := r.client.ZRangeByLex(ctx, keyOrder, &redis.ZRangeBy{Min: "(" + after, Max: "+", Count: int64(n - len(rows))}).Result()
		if err != nil {
			return nil, fmt.Errorf("listing sessions in Redis: %w", err)
		}
		if len(members) == 0 {
			break
		}
		more, err := r.rows(ctx, members)
		if err != nil {
			return nil, err
		}
		rows, after = append(rows, more...), members[len(members)-1]
	}
	return rows, nil
}

// rows reads what is there of the members, in their order.
func (r *Redis) rows(ctx context.Context, members []string) ([]Row, error) {
	keys := make([]string, len(members))
	for i, member := range members {
		_, id, _ := strings.Cut(member, "/")
		keys[i] = keySession + id
	}
	var values *redis.SliceCmd
	deadlines := make([]*redis.FloatCmd, len(members))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		values = p.MGet(ctx, keys...)
		for i, member := range members {
			deadlines[i] = p.ZScore(ctx, keyDeadlines, member)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("reading sessions from Redis: %w", err)
	}
	var rows []Row
	for i, value := range values.Val() {
		text, ok := value.(string)
		if !ok {
			continue // it expired, and will be swept
		}
		s := new(sessionv1.Session)
		if err := proto.Unmarshal([]byte(text), s); err != nil {
			return nil, fmt.Errorf("reading session %s: %w", members[i], err)
		}
		rows = append(rows, Row{Session: s, Deadline: time.UnixMilli(int64(deadlines[i].Val()))})
	}
	return rows, nil
}

// Sweep forgets what nobody has vouched for, and members whose session has expired.
func (r *Redis) Sweep(ctx context.Context, before time.Time) (int, error) {
	swept := 0
	for {
		limit := strconv.FormatInt(before.UnixMilli(), 10)
		members, err := r.client.ZRangeByScore(ctx, keyDeadlines, &redis.ZRangeBy{Min: "-inf", Max: "(" + limit, Count: redisPart}).Result()
		if err != nil {
			return swept, fmt.Errorf("sweeping sessions in Redis: %w", err)
		}
		if len(members) == 0 {
			return swept, nil
		}
		keys, args := []string{keyOrder, keyDeadlines}, []any{limit}
		for _, member := range members {
			_, id, _ := strings.Cut(member, "/")
			keys, args = append(keys, keySession+id), append(args, member)
		}
		n, err := scriptSweep().Run(ctx, r.client, keys, args...).Int()
		if err != nil {
			return swept, fmt.Errorf("sweeping sessions in Redis: %w", err)
		}
		swept += n
	}
}
