#!/bin/sh
# SPDX-License-Identifier: MIT
# npu train and npu evaluate from outside: what they leave behind, what they refuse, and
# that training which was killed goes on as if nothing had happened.
#
#	npu_train.sh NPU TRAIN_TOOL
#
# Prints TAP.
# shellcheck disable=SC2016 # ok evaluates what stands in single quotes
set -u
npu=$(realpath "$1") train_tool=$(realpath "$2")
work=$(mktemp -d)
pid=
# What has no end ends with the test, also when that is killed.
trap '[ -z "$pid" ] || kill -9 "$pid"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
cd "$work" || exit 1

# says STATUS PATTERN NPU-ARGUMENT...: the status, and PATTERN in what it prints;
# an error is one line.
says() {
	want=$1 pattern=$2 got=0
	shift 2
	"$npu" "$@" --device sim >out 2>err </dev/null || got=$?
	cat out err
	[ "$got" = "$want" ] || { echo "status $got, not $want"; return 1; }
	cat out err | grep -q -e "$pattern" || { echo "no '$pattern'"; return 1; }
	if [ "$want" = 0 ]; then
		[ ! -s err ]
	else
		[ "$(grep -c '^npu: ' err)" = 1 ] && [ "$(wc -l <err)" = 1 ]
	fi
}

sparse='--loss=sparse_categorical_crossentropy'
# train STATUS PATTERN MODEL OPTION...: on the small data set, two epochs of 19 steps.
train() {
	train_status=$1 train_pattern=$2 train_model=$3
	shift 3
	says "$train_status" "$train_pattern" train "$train_model" --data npy:x.npy,y.npy "$sparse" \
		--batch 8 --epochs 2 "$@"
}
evaluate() {
	evaluate_status=$1 evaluate_pattern=$2
	shift 2
	says "$evaluate_status" "$evaluate_pattern" evaluate "$@"
}
# The number called NAME of the last evaluation.
number() { awk -v name="$1" '$1 == name { print $2 }' out; }
# less A B: of decimals.
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 < b + 0) }'; }

ok 'make models and data' "$train_tool" .
for command in train evaluate; do
	ok "$command --help" says 0 "usage: npu $command" $command --help
	ok "$command with an unknown option" says 2 'no option --nonsense' $command --nonsense
	ok "$command without a model" says 2 'one model is needed' $command --data x
	ok "$command without data" says 2 'a data set is needed' $command mlp.onnx --loss mse
	ok "$command without a loss" says 2 'a loss is needed' $command mlp.onnx --data csv:d.csv
	ok "$command with another loss" says 2 'no loss hinge' $command mlp.onnx --loss hinge
done

# ---- every optimizer learns ----

evaluate 0 'samples    150' mlp.onnx --data npy:x.npy,y.npy "$sparse" >log 2>&1
before=$(number loss)
for optimizer in sgd momentum nesterov adam adamw; do
	rate=0.02
	[ $optimizer = sgd ] && rate=0.3
	ok "$optimizer" train 0 'saved      t.onnx' mlp.onnx --optimizer $optimizer --lr $rate \
		--epochs 5 --history h.csv --save t.onnx
	ok "$optimizer: a line for an epoch" eval \
		'[ "$(grep -c "^epoch [1-5]/5  .* samples/s  loss .*  accuracy [01]" out)" = 5 ]'
	ok "$optimizer: a row for a step" eval '[ "$(wc -l <h.csv)" = 96 ] &&
		head -1 h.csv | grep -qx step,loss,accuracy &&
		awk -F, "NR > 1 && (\$1 != NR - 2 || NF != 3) { exit 1 }" h.csv'
	evaluate 0 accuracy t.onnx --data npy:x.npy,y.npy "$sparse" >log 2>&1
	ok "$optimizer: learns" less "$(number loss)" "$(awk "BEGIN { print $before / 2 }")"
	mv h.csv $optimizer.csv
done
ok 'optimizers differ' eval '[ "$(cat ./*.csv | grep "^50," | sort -u | wc -l)" = 5 ]'
ok 'options of an optimizer' train 0 saved mlp.onnx --optimizer adamw --beta1 0.8 --beta2 0.99 \
	--epsilon 1e-6 --weight-decay 0.1 --clip-norm 0.5 --save t.onnx
ok 'momentum for adam' train 2 'does not use --momentum' mlp.onnx --momentum 0.5
ok 'beta for sgd' train 2 'does not use --beta1' mlp.onnx --optimizer sgd --beta1 0.5
ok 'another optimizer' train 2 'no optimizer lion' mlp.onnx --optimizer lion
ok 'a rate of nothing' train 1 'the learning rate must be above 0' mlp.onnx --lr 0
ok 'a rate that is no number' train 2 'lr x is not a number' mlp.onnx --lr x
ok 'a momentum beyond 1' train 1 'momentum must be between 0 and 1' mlp.onnx \
	--optimizer momentum --momentum 2
ok 'no batch' train 2 'batch 0 is not a positive number' mlp.onnx --batch 0

# ---- losses and models ----

ok 'from logits' train 0 saved logits.onnx --from-logits --no-shuffle --history l.csv --save t.onnx
ok 'with softmax' train 0 saved mlp.onnx --no-shuffle --history s.csv --save t.onnx
ok 'the same' eval 'cut -d, -f1,2 l.csv >a && cut -d, -f1,2 s.csv >b && cmp a b'
ok 'probabilities' says 0 saved train mlp.onnx --data npy:x.npy,p.npy --batch 8 --epochs 2 \
	--loss categorical_crossentropy --no-shuffle --history p.csv --save t.onnx
ok 'the same loss' cmp p.csv s.csv
ok 'squares' says 0 'epoch 10/10  .* loss' train line.onnx --data npy:x.npy,r.npy --loss mse \
	--history m.csv --plot m.svg --save t.onnx
ok 'squares without accuracy' eval '! grep -q accuracy out m.svg && grep -qx "0,[0-9.]*," m.csv'
ok 'logits of squares' says 2 'is for crossentropy' train line.onnx --data npy:x.npy,r.npy \
	--loss mse --from-logits
for set in idx:x.idx,y.idx csv:d.csv; do
	ok "$set" says 0 saved train mlp.onnx --data $set "$sparse" --batch 8 --epochs 2 \
		--no-shuffle --history d_.csv --save t.onnx
	ok "$set: the same" cmp d_.csv s.csv
done
gzip -k x.idx y.idx
ok 'gzipped' says 0 saved train mlp.onnx --data idx:x.idx.gz,y.idx.gz "$sparse" --batch 8 \
	--epochs 2 --no-shuffle --history d_.csv --save t.onnx
ok 'gzipped: the same' cmp d_.csv s.csv
ok 'a fixed batch' train 0 saved fixed.onnx --no-shuffle --history f.csv --save t.onnx
ok 'a fixed batch: the same' cmp f.csv s.csv
ok 'another batch' train 1 'has a batch of 8, not 16' fixed.onnx --batch 16
ok 'a saved model keeps its batch open' evaluate 0 'samples    150' t.onnx --data npy:x.npy,y.npy \
	$sparse --batch 8
ok 'no model' train 1 'none.onnx: .*No such file' none.onnx
ok 'a damaged model' eval 'head -c 60 mlp.onnx >cut.onnx; train 1 "cut.onnx: not an ONNX model" cut.onnx'
ok 'labels that a model has no class for' train 1 'y.npy: row [0-9]*: label [12] is out of range; the model has 1 classes' line.onnx
ok 'frozen' train 0 saved mlp.onnx --freeze 'first.*' --grad-norms g.csv --save t.onnx
ok 'frozen parameters have no gradient' eval 'head -1 g.csv | grep -qx step,second.weight,second.bias'
ok 'nothing to freeze' train 1 'no parameter "third" to freeze' mlp.onnx --freeze third
ok 'all frozen' train 1 'has no parameters' mlp.onnx --freeze '*'
ok 'order' train 0 saved mlp.onnx --history o1.csv --seed 1 --save t.onnx
ok 'another order' train 0 saved mlp.onnx --history o2.csv --seed 2 --save t.onnx
ok 'a seed decides about it' eval '! cmp -s o1.csv o2.csv && ! cmp -s o1.csv s.csv'
ok 'validation' train 0 'validation loss .* validation accuracy' mlp.onnx --validate csv:d.csv
ok 'steps' train 0 saved mlp.onnx --steps 23 --history n.csv --save t.onnx
ok 'as many steps' eval '[ "$(wc -l <n.csv)" = 24 ] && head -24 o1.csv | cmp - n.csv'
ok 'gradient norms' train 0 saved mlp.onnx --grad-norms g.csv --plot g.svg --save t.onnx
ok 'a norm for each parameter' eval '[ "$(wc -l <g.csv)" = 39 ] &&
	head -1 g.csv | grep -qx step,first.weight,first.bias,second.weight,second.bias &&
	awk -F, "NR > 1 && (NF != 5 || \$2 <= 0 || \$5 <= 0) { exit 1 }" g.csv'
ok 'a plot' eval 'head -1 g.svg | grep -q "^<svg" && tail -1 g.svg | grep -qx "</svg>" &&
	[ "$(grep -c "<polyline" g.svg)" = 2 ] && grep -q ">accuracy over steps<" g.svg'

# ---- what is refused ----

ok 'no data' says 1 'none.npy: No such file' train mlp.onnx --data npy:none.npy,y.npy "$sparse"
ok 'other data' says 1 'no data set; idx:' train mlp.onnx --data x.npy "$sparse"
ok 'NaN in data' says 1 'nan.npy: row 97: has nan' train mlp.onnx --data npy:nan.npy,y.npy "$sparse" \
	--checkpoint nan.ckpt --history nan.csv
ok 'NaN in data keeps what was good' eval '[ -s nan.ckpt ] && [ "$(wc -l <nan.csv)" -gt 1 ]'
ok 'a label out of range' eval 'sed "7s/,[0-9]*$/,9/" d.csv >bad.csv
	says 1 "bad.csv: line 7: label 9 is out of range; the model has 3 classes, 0 to 2" \
		train mlp.onnx --data csv:bad.csv "$sparse"'
ok 'another shape' says 1 'has samples of shape \[\] each; the model takes \[2, 2, 1\]' \
	train mlp.onnx --data npy:y.npy,y.npy "$sparse"
ok 'no finite loss' train 1 'train: step [0-9]*: the loss is .*lower the learning rate' mlp.onnx \
	--optimizer sgd --lr 1e38 --checkpoint inf.ckpt --checkpoint-steps 1 --history inf.csv
ok 'no finite loss: the last good step is kept' eval 'step=$(tail -1 inf.csv | cut -d, -f1)
	says 1 "checkpoint inf.ckpt: after step $((step + 1))" train mlp.onnx --data npy:x.npy,y.npy \
		$sparse --batch 8 --epochs 2 --optimizer sgd --lr 1e38 --checkpoint inf.ckpt --resume'
ok 'a history in no folder' train 1 'none/h.csv: cannot be written' mlp.onnx --history none/h.csv
ok 'a history without room' train 1 '/dev/full: cannot be written: No space left' mlp.onnx \
	--history /dev/full
ok 'a model in no folder' train 1 'none/t.onnx: cannot be written' mlp.onnx --save none/t.onnx
ok 'over the model' train 1 'mlp.onnx: is the model' mlp.onnx --save mlp.onnx
ok 'over the data' train 1 './x.npy: is a data set' mlp.onnx --history ./x.npy
ok 'over each other' train 1 't: is to hold two results' mlp.onnx --history t --plot t
ok 'no harm done' eval '[ -s mlp.onnx ] && [ -s x.npy ]'
ok 'resume without a checkpoint' train 2 'a file is needed for that: --checkpoint' mlp.onnx --resume
ok 'resume from no checkpoint' eval 'cp x.npy no.ckpt; train 1 "no.ckpt: .*it is no checkpoint" mlp.onnx --checkpoint no.ckpt --resume'

# ---- built-in networks ----

head -c 31360 /dev/zero | tr '\0' 'k' >pixels
{ printf '\0\0\10\3\0\0\0\50\0\0\0\34\0\0\0\34'; cat pixels; } >im.idx
{ printf '\0\0\10\1\0\0\0\50'; head -c 40 /dev/zero | tr '\0' '\3'; } >lb.idx
for net in cnn attention rnn; do
	ok "$net" says 0 saved train $net --data idx:im.idx,lb.idx "$sparse" --epochs 2 \
		--save $net.onnx
	ok "$net: evaluate" evaluate 0 'accuracy   1.0000 (40 of 40)' $net.onnx \
		--data idx:im.idx,lb.idx "$sparse" --batch 7
	ok "$net: one image" says 0 'f32 \[1, 10\]' run $net.onnx --bind N=1 --input im.idx --scale \
		--output y.bin
done
ok 'attention: bind' says 1 'no dimensions to bind' train attention --data idx:im.idx,lb.idx "$sparse" --bind N=3

# ---- evaluation ----

# Logits are the columns; predictions 0 0 1 2 2, 1 of them wrong for each of two classes.
printf '3,1,2,0\n3,1,2,1\n0,5,1,1\n0,1,2,2\n0,1,2,0\n' >eye.csv
ok 'evaluate' evaluate 0 'accuracy   0.6000 (3 of 5)' eye.onnx --data csv:eye.csv "$sparse" --from-logits
ok 'evaluate: the matrix' eval 'sed -n "/^confusion/,\$p" out | tail -n +2 | tr -s " " >a
	printf " 0 1 2\n 0 1 0 1\n 1 1 1 0\n 2 0 0 1\n" | cmp - a'
# -log softmax: (0.407606 + 2.407606 + 0.024745 + 0.407606 + 2.407606) / 5
ok 'evaluate: the loss' eval 'l=$(number loss); less 1.13102 $l && less $l 1.13105'
ok 'evaluate: whatever the batch' eval 'cp out want
	for b in 1 2 5; do evaluate 0 accuracy eye.onnx --data csv:eye.csv "$sparse" --from-logits --batch $b || exit 1
		grep -v loss out >a; grep -v loss want | cmp - a || exit 1; done'
ok 'evaluate squares' evaluate 0 '^loss' line.onnx --data npy:x.npy,r.npy --loss mse
ok 'evaluate squares without accuracy' eval '! grep -q accuracy out'
ok 'evaluate probabilities' evaluate 0 'confusion matrix' mlp.onnx --data npy:x.npy,p.npy \
	--loss categorical_crossentropy
cp out want
ok 'evaluate classes' evaluate 0 'confusion matrix' mlp.onnx --data npy:x.npy,y.npy "$sparse"
ok 'evaluate: the same' cmp out want
ok 'evaluate NaN' evaluate 1 'nan.npy: row 97: has nan' mlp.onnx --data npy:nan.npy,y.npy "$sparse"

# ---- interrupted ----

# Without an end, so that it never ends before it is killed. A process of its own: what is
# killed is the command.
cat >endless <<END
exec env --default-signal=INT "$npu" train mlp.onnx --device sim --data npy:x.npy,y.npy "$sparse" \
	--batch 8 --epochs 1000000 --optimizer adam --checkpoint k.ckpt --checkpoint-steps 7 \
	--history k.csv --grad-norms kn.csv --resume "\$@" >out 2>err
END
endless() { sh "$work/endless" "$@"; }
rows() { if [ -e k.csv ]; then wc -l <k.csv; else echo 0; fi; }
# interrupt SIGNAL ROWS: when there are that many more; the status.
interrupt() {
	until=$(($(rows) + $2))
	sh "$work/endless" &
	pid=$! got=0
	while [ "$(rows)" -lt "$until" ] && kill -0 $pid; do sleep 0.02; done
	kill "-$1" $pid
	wait $pid || got=$?
	pid=
	cat out err
	return $got
}
# A history longer than the checkpoint's step is cut: so it must not be seen as progress.
kill_it() { interrupt KILL "$1"; [ $? = 137 ]; }
ok 'killed before there is a checkpoint' eval 'kill_it 1'
for more in 30 5 100 11; do
	ok "killed $more rows later" eval "kill_it $more"
done
ok 'Ctrl-C' eval 'interrupt INT 20; [ $? = 130 ]'
ok 'Ctrl-C says how to go on' eval '[ "$(wc -l <err)" = 1 ] && grep -q "^npu: ended by signal 2 after step [0-9]*; go on with: npu train .* --resume mlp.onnx$" err'
ok 'SIGTERM' eval 'interrupt TERM 20; [ $? = 143 ] && grep -q "ended by signal 15" err'
steps=$(($(rows) + 8))
# Rows after the checkpoint that the run to come does not write over, and half a row.
seq -f %.0f,1,1 900001 900200 | tee -a k.csv >>kn.csv
printf 900201, | tee -a k.csv >>kn.csv
ok 'to the end' endless --steps $steps --save k.onnx
mkdir whole
cp mlp.onnx x.npy y.npy whole
ok 'without an interruption' eval '(cd whole && endless --steps $steps --save k.onnx)'
for file in k.csv kn.csv k.onnx k.ckpt; do
	ok "the same $file" cmp $file whole/$file
done
ok 'as many rows' eval '[ "$(rows)" = $((steps + 1)) ]'
ok 'nothing left to do' eval 'endless --steps $steps --save k2.onnx && cmp k2.onnx k.onnx && cmp k.csv whole/k.csv'
ok 'another network' eval '! "$npu" train logits.onnx --device sim --data npy:x.npy,y.npy "$sparse" --batch 8 --checkpoint k.ckpt --resume --optimizer sgd >out 2>err; grep -q "k.ckpt: cannot go on from it" err'
ok 'a history that is too short' eval 'head -5 k.csv >a; mv a k.csv; ! endless --steps $steps; grep -q "k.csv: ends after 4 steps, but the checkpoint is of step $steps" err'
ok 'a history of something else' eval 'echo x >k.csv; ! endless --steps $steps; grep -q "k.csv: is not of this network" err'
ok 'no history' eval 'rm k.csv; ! endless --steps $steps; grep -q "k.csv: No such file" err'
ok 'nothing else changed' cmp k.ckpt whole/k.ckpt

# No room: the checkpoint that is there stays.
cp whole/* .
rm -f k.ckpt.?????? # what a kill in the middle of a checkpoint left
ok 'no room for a checkpoint' eval '(ulimit -f 1; ! "$npu" train mlp.onnx --device sim --data npy:x.npy,y.npy "$sparse" \
	--batch 8 --epochs 100 --checkpoint k.ckpt >out 2>err)
	grep -q "k.ckpt: cannot write the checkpoint: File too large; the one before is as it was" err'
ok 'the old one is kept' cmp k.ckpt whole/k.ckpt
ok 'nothing is left behind' eval '! ls | grep -e "\.ckpt\." -e "\.onnx\." -e "\.svg\."'
plan
