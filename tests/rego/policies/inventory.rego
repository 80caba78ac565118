package t

violation[{"msg": msg}] {
	other := data.inventory.namespace[ns][_]["Pod"][name]
	not same(other, input.object)
	other.spec.containers[_].image == input.object.spec.containers[_].image
	msg := sprintf("%v/%v has the same image", [ns, name])
}

violation[{"msg": msg}] {
	selectors := {key: value | value := data.inventory.namespace[input.object.metadata.namespace]["v1"]["Pod"][_].metadata.labels[key]}
	object.get(selectors, "team", "none") != input.object.metadata.labels.team
	msg := sprintf("the team is %v", [selectors.team])
}

violation[{"msg": msg}] {
	not data.inventory.cluster["v1"]["Namespace"][input.object.metadata.namespace]
	msg := sprintf("no namespace %v in %v", [input.object.metadata.namespace, names])
}

same(a, b) {
	a.metadata.name == b.metadata.name
	a.metadata.namespace == b.metadata.namespace
}

names = {n | data.inventory.cluster["v1"]["Namespace"][n]}

count_by_namespace[ns] = n {
	pods := data.inventory.namespace[ns]["v1"]["Pod"]
	n := count(pods)
}

owners[o] {
	o := data.inventory.namespace[_][_][_][_].metadata.labels.team
}

whole = data.inventory.cluster

missing = data.inventory.nothing
